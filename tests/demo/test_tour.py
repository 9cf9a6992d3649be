"""The tour, taken as a newcomer takes it: in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
from click.testing import CliRunner

from forged.cli.forged import cli
from forged.demo.ending import sha256
from forged.demo.grounds import Grounds, all_files
from forged.demo.producer import FAVOURITE, made

LONGEST_S = 120.0
"""For what another process does after a while; usually it takes less than two seconds."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "forged", "demo", *arguments]


def running_below(folder: Path) -> list[int]:
    """Processes that name the tour's folder on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(int(process.parent.name))
    return found


def daemon_of(root: Path) -> int:
    """The tour's `forged run`."""
    found = [pid for pid in running_below(root) if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"forged.toml\0run\0")]
    assert len(found) == 1, "one daemon, as a process of its own"
    return found[0]


def wait_until(so: Callable[[], bool]) -> None:
    """Until it is so; nothing tells a stranger of it, so it is asked for again and again."""
    end_s = monotonic() + LONGEST_S
    while not so():
        assert monotonic() < end_s
        sleep(0.02)


@contextmanager
def touring(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A long tour, as soon as the first files are home."""
    words = command("--seconds", "60", "--dir", str(root))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: process.poll() is not None or any((root / "home").rglob("*.png")))
            assert process.poll() is None, "it ended by itself"
            yield process
        finally:
            process.kill()


def test_all_that_was_ever_made_is_home_and_cleanup_has_removed_only_what_is(tmp_path: Path) -> None:
    place = Grounds(tmp_path / "tour")
    done = subprocess.run(command("--seconds", "4", "--dir", str(place.root)), capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert running_below(place.root) == []
    ledger = [made(line) for line in place.ledger.read_text().splitlines()]
    whole = {Path(one.path): one.sha256 for one in ledger if one.whole}
    home = {one.there.relative_to(place.box) / file: one.home / file for one in place.places for file in all_files(one.home)}
    assert {path: sha256(file) for path, file in home.items()} == whole
    on_the_box = {file for file in all_files(place.box) if file.suffix != ".tmp"}
    cut = {Path(one.path) for one in ledger if not one.whole}
    assert cut <= on_the_box <= cut | set(whole), "what is gone was whole, and is home"
    newest, removed = on_the_box - cut, set(whole) - on_the_box
    assert len(removed) >= 5 and len(newest) <= 4
    assert FAVOURITE in {file.name for file in newest}
    for words in (
        f"{len(removed)} of them removed at the box",
        "1 preserved (*.important)",
        "newest of a numbered series",
        "$ forgectl status",
        "forge: safe to destroy: yes",
        "Everything is home.",
        "left there",
        "from close to its final name at home",
    ):
        assert words in done.stdout, done.stdout


def test_ctrl_c_leaves_no_process_and_names_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "tour"
    with touring(root) as process:
        assert daemon_of(root)
        os.kill(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 130
    assert str(root) in rest
    assert running_below(root) == []
    assert not (root / "forged.sock").exists(), "the daemon stopped in order"


@pytest.mark.parametrize("after", ["starting the box", None], ids=["at once", "before anything is said"])
def test_ctrl_c_at_the_very_start_leaves_no_process_either(tmp_path: Path, after: str | None) -> None:
    root = tmp_path / "tour"
    words = command("--seconds", "60", "--dir", str(root))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if after is None:
            wait_until(root.is_dir)
        else:
            assert after in process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode != 0
    assert running_below(root) == []


def test_a_daemon_that_dies_ends_the_tour_with_its_last_words(tmp_path: Path) -> None:
    root = tmp_path / "tour"
    with touring(root) as process:
        os.kill(daemon_of(root), signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 1
    assert "the daemon has ended with signal SIGKILL" in errors
    assert "forged runs" in errors, "its last lines"
    assert str(root / "daemon.log") in errors
    assert running_below(root) == []


def test_a_tour_that_is_killed_takes_daemon_and_box_with_it(tmp_path: Path) -> None:
    root = tmp_path / "tour"
    with touring(root) as process:
        process.kill()
        process.communicate(timeout=30)
    wait_until(lambda: not running_below(root))


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = CliRunner().invoke(cli, ["demo", "--dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "is not empty" in done.stderr and "→" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]
