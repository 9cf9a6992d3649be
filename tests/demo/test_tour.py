"""The tour, taken as a newcomer takes it: in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from forged.cli.forged import cli
from forged.demo.ending import sha256
from forged.demo.grounds import Grounds, all_files


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "forged", "demo", *arguments]


def running_below(folder: Path) -> list[str]:
    """Processes that name the tour's folder on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def test_everything_comes_home_but_for_the_picture_that_was_cut(tmp_path: Path) -> None:
    place = Grounds(tmp_path / "tour")
    done = subprocess.run(command("--seconds", "4", "--dir", str(place.root)), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything is home." in done.stdout
    left = 0
    for one in place.places:
        there, home = set(all_files(one.there)), set(all_files(one.home))
        left += len(there - home)
        assert home <= there and len(home) >= 2
        assert all(sha256(one.there / file) == sha256(one.home / file) for file in home)
    assert left == 1
    assert "left there" in done.stdout
    assert running_below(place.root) == []


def test_ctrl_c_leaves_no_process_and_names_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "tour"
    with subprocess.Popen(command("--seconds", "60", "--dir", str(root)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while " home (" not in (line := process.stdout.readline()) or ", 0 home" in line:
            assert line, "it ended by itself"
        os.kill(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert str(root) in rest
    assert running_below(root) == []


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = CliRunner().invoke(cli, ["demo", "--dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "is not empty" in done.stderr and "→" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]
