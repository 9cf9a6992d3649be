"""A program started as a mortal dies with whoever started it, by a signal that cannot be caught; otherwise it is itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forged.kit import mortal as module
from forged.kit.mortal import mortal
from tests.support.daemon import until

STARTS = """
import asyncio, sys, uvloop
from forged.kit.mortal import mortal
async def run():
    await asyncio.create_subprocess_exec(*mortal(sys.argv[1:]), start_new_session=True)
    print("started", flush=True)
    await asyncio.sleep(1000)
uvloop.run(run())
"""


def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = f"trap '' TERM HUP INT; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done"
    parent = subprocess.Popen([sys.executable, "-c", STARTS, "/bin/sh", "-c", script], stdout=subprocess.PIPE)
    until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()), lambda: "it has not begun")
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    until(lambda: not Path(f"/proc/{pid}/exe").exists(), lambda: "it lives on")


def test_it_is_the_program_itself_with_its_arguments_and_its_end() -> None:
    argv = mortal(["/bin/sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", "--help", "a b", ""])
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "--help|a b||", "")
    assert subprocess.run(mortal(["sh", "-c", "kill -9 $$"])).returncode == -9


def test_it_does_not_begin_where_who_started_it_is_gone_already() -> None:
    argv = mortal(["/bin/sh", "-c", "echo begun"])
    orphan = subprocess.run(["/bin/sh", "-c", '"$@"; :', "sh", *argv], capture_output=True, text=True)
    assert orphan.stdout == ""


def test_its_surroundings_are_its_own() -> None:
    """Signals that Python ignores, and what it sets for itself."""
    show = ["/bin/sh", "-c", "grep SigIgn /proc/self/status; env"]
    surroundings = {"PATH": os.environ["PATH"]}
    plain, ours = (subprocess.run(argv, env=surroundings, capture_output=True).stdout for argv in (show, mortal(show)))
    assert ours == plain


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("/nowhere/program", FileNotFoundError),
        ("/etc/passwd", PermissionError),
        ("a\0b", ValueError),
        ("nowhere", FileNotFoundError),
    ],
)
def test_one_that_cannot_be_started_is_known_before(program: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        mortal([program])


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"#!/nowhere/python\nprint()\n", "No such file"),
        (b"#!/etc/passwd\n", "Permission denied"),
        (b"#!\n", "Exec format error"),
        (b"exit 0\n", "Exec format error"),
        (b"", "Exec format error"),
        (b"\x7fELF" + bytes(300), "Exec format error"),
    ],
)
def test_what_the_kernel_would_not_run_is_not_handed_to_a_shell(
    content: bytes, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_others_are_run", lambda: False)
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o755)
    with pytest.raises(OSError, match=error):
        subprocess.run([program])
    with pytest.raises(OSError, match=error):
        mortal([str(program)])


def test_a_name_is_no_file_of_the_folder_that_we_are_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program").write_text("#!/bin/sh\n")
    with pytest.raises(FileNotFoundError):
        mortal(["program"])
