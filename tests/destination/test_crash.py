"""Promise 5 at home: SIGKILL at any moment, again and again, and then everything is there once, whole, with nothing stray."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from forged.kit.durable import NoReplace
from forged.model.paths import home_path
from tests.destination.crasher import TAKEN, files, taken
from tests.destination.places import tmpfs, tree, versions

KILLS = 20


@pytest.mark.parametrize("level", list(NoReplace), ids=lambda level: level.value)
def test_killed_at_random_moments_it_converges(level: NoReplace, tmp_path: Path) -> None:
    dest = tmp_path / "home"
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:  # one folder is another disk, so that copies across are killed, too
            stack.enter_context(tmpfs(dest / "other", "32m"))
        _plant(dest)
        wanted = _expected()
        command = [sys.executable, "-m", "tests.destination.crasher", str(dest), str(tmp_path / "notes"), level.value]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
            for _ in range(KILLS):
                assert _live(process, f"{random.uniform(0.005, 0.1)}") in ("-9", "0")
                _nothing_is_half(dest, wanted, placeholders=level is NoReplace.PLACEHOLDER)
            assert _live(process, "on") == "0"
        assert tree(dest) == wanted


def _live(process: subprocess.Popen[str], wish: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(wish + "\n")
    return process.stdout.readline().strip()


def _plant(dest: Path) -> None:
    for path in filter(taken, files()):
        (dest / os.fsdecode(path)).parent.mkdir(parents=True, exist_ok=True)
        (dest / os.fsdecode(path)).write_bytes(TAKEN)


def _expected() -> dict[str, bytes]:
    """Every file under its name, or beside the owner's."""
    wanted = {}
    for path, data in files().items():
        home = path
        if taken(path):
            wanted[os.fsdecode(path)] = TAKEN
            home = versions(home_path(path), hashlib.sha256(data).digest())[0]
        wanted[os.fsdecode(home)] = data
    return wanted


def _nothing_is_half(dest: Path, wanted: dict[str, bytes], placeholders: bool) -> None:
    for name, data in tree(dest).items():
        ours = name.startswith(".forged/") or os.path.basename(name).startswith(".forged-")
        if not ours and not (placeholders and data == b""):
            assert data == wanted[name], name
