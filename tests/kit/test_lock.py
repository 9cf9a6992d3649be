"""One process at a time, and the lock goes with its holder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forged.kit.lock import LockHeld, hold_lock

HOLDER = """
import sys, time
from pathlib import Path
from forged.kit.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_holding(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_lock_of_another_process_is_refused_and_names_it(tmp_path: Path) -> None:
    lock = tmp_path / "forged.lock"
    with another_process_holding(lock) as process:
        with pytest.raises(LockHeld, match=f"process {process.pid}") as refused, hold_lock(lock):
            pass
        assert refused.value.pid == process.pid


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "forged.lock"
    with another_process_holding(lock) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with hold_lock(lock):
            assert lock.read_text() == f"{os.getpid()}\n"


def test_a_lock_is_free_again_after_its_block_and_the_file_stays(tmp_path: Path) -> None:
    lock = tmp_path / "forged.lock"
    with pytest.raises(RuntimeError), hold_lock(lock):
        raise RuntimeError
    with hold_lock(lock):
        pass
    assert lock.exists()


def test_the_same_process_cannot_hold_it_twice_either(tmp_path: Path) -> None:
    lock = tmp_path / "forged.lock"
    with hold_lock(lock), pytest.raises(LockHeld), hold_lock(lock):
        pass


def test_a_file_without_a_pid_is_no_trouble(tmp_path: Path) -> None:
    lock = tmp_path / "forged.lock"
    with hold_lock(lock):
        lock.write_text("what is this")
        with pytest.raises(LockHeld, match="another process") as refused, hold_lock(lock):
            pass
        assert refused.value.pid is None


def test_folder_and_file_are_made_for_their_owner_only(tmp_path: Path) -> None:
    lock = tmp_path / "state" / "forged.lock"
    with hold_lock(lock):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700


def test_a_program_started_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "forged.lock"
    with hold_lock(lock):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        with hold_lock(lock):
            pass
    finally:
        child.communicate()
