"""A real daemon whose state database is damaged, lost, or damaged under its hands: it says so, and nothing is moved or removed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon, until
from tests.support.site import tree
from tests.support.sshd import Sshd

CLEANUP = 'watch = "off"\n[target.cleanup]\nage = "1s"\nevery = "1s"'
FILES = {"a.png": b"A" * 3_000, "sub/b.png": b"B" * 70_000, "sub/c.bin": b""}


@pytest.fixture
def house(sshd: Sshd) -> Iterator[Daemon]:
    """A box in a folder, brought home; cleanup was off until now."""
    with daemon(sshd, box='watch = "off"') as made:
        made.sources["box"] = str(made.box())
        made.write()
        for name, data in FILES.items():
            path = made.box() / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (1_700_000_000, 1_700_000_000))
        made.start()
        until_remembered(made)
        made.stop()
        made.targets["box"] = CLEANUP
        made.write()
        yield made


def until_remembered(house: Daemon) -> None:
    until(lambda: house.call("manifest.list", target="box")["total_files"] == len(FILES), house.log)


def database(house: Daemon) -> Path:
    return house.root / "state" / "forged.db"


def cut(file: Path) -> None:
    os.truncate(file, 5_000)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def one_byte_of_a_row(file: Path) -> None:
    """No page shows it."""
    connection = sqlite3.connect(file)
    assert connection.execute("UPDATE versions SET home = ? WHERE path = ?", (b"sub/f.png", b"sub/b.png")).rowcount == 1
    connection.commit()
    connection.close()


def lost(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("harm", [cut, one_byte_of_a_row, lost])
def test_it_says_so_keeps_it_adopts_and_holds_until_released(house: Daemon, harm: Callable[[Path], None]) -> None:
    harm(database(house))
    before = tree(house.home())
    house.start()
    until_remembered(house)
    assert house.metric("forged_files_transferred_total", target="box") == 0
    assert house.metric("forged_bytes_transferred_total", target="box") == 0

    (said,) = house.lines(level="error")
    aside = list(database(house).parent.glob("forged.db.damaged-*Z"))
    assert str(database(house)) in said["event"] and "adopted" in said["event"]
    assert [str(path) in said["event"] for path in aside] == ([] if harm is lost else [True])
    assert "forgectl release" in said["hint"]
    status = house.standing()
    assert status["held"]
    assert [problem["kind"] for problem in status["problems"]] == ["held"]
    assert house.metric("forged_target_held", target="box", reason="state_rebuilt") == 1
    cleanup = house.call("cleanup.run", target="box")
    assert (cleanup["files_deleted"], cleanup["kept_counts"]) == (0, {"held": len(FILES)})
    assert tree(house.home()) == before == tree(house.box())

    house.stop()
    house.start()  # it stays so
    assert house.standing()["held"] and len(house.lines(level="error")) == 1
    house.call("target.release", target="box")
    until(lambda: not tree(house.box()), house.log)
    assert tree(house.home()) == before


def test_an_unmounted_home_is_not_filled_after_it(house: Daemon) -> None:
    emptied(database(house))
    mounted = house.home().rename(house.root / "not mounted")
    house.home().mkdir()
    house.start()
    until(lambda: "marker_missing" in {problem["kind"] for problem in house.standing()["problems"]}, house.log)
    assert list(house.home().iterdir()) == []
    house.home().rmdir()
    mounted.rename(house.home())
    until_remembered(house)


def test_damage_that_appears_while_it_runs_ends_nothing_and_says_what_to_do(house: Daemon) -> None:
    house.start()
    pid = house.call("daemon.status")["pid"]
    file = database(house)
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(os.urandom(file.stat().st_size - 4096))
    (house.box() / "new.png").write_bytes(b"new")
    until(lambda: "store_damaged" in {problem["kind"] for problem in house.standing()["problems"]}, house.log)
    (problem,) = [one for one in house.standing()["problems"] if one["kind"] == "store_damaged"]
    assert "start forged again" in problem["hint"]
    time.sleep(2)  # a few polls and cleanups
    assert house.call("daemon.status")["pid"] == pid
    assert set(tree(house.box())) <= set(tree(house.home())) | {b"new.png"}
    assert house.lines(level="warning", kind="store_damaged")

    house.stop()
    removed = {os.fsencode(name) for name in FILES} - set(tree(house.box()))
    assert removed <= set(tree(house.home()))
    house.start()
    until(lambda: set(tree(house.home())) >= {b"new.png", *map(os.fsencode, FILES)}, house.log)
    assert house.standing()["held"]


def once(house: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forged", "-c", str(house.config), "once", *arguments]
    return subprocess.run(command, env=house.environment, capture_output=True, text=True, timeout=300, check=False)


def test_forged_once_says_it_and_goes_on_and_a_dry_run_changes_nothing(house: Daemon) -> None:
    cut(database(house))
    tried = once(house, "--dry-run")
    assert tried.returncode == 1
    assert "damaged" in tried.stderr and "start forged again" in tried.stderr
    assert not list(database(house).parent.glob("*.damaged-*"))

    done = once(house, "--json")
    assert done.returncode == 0
    assert "it is kept as" in done.stderr and "forgectl release" in done.stderr
    (answer,) = json.loads(done.stdout)["targets"]
    assert (answer["files_adopted"], answer["bytes_transferred"]) == (len(FILES), 0)
    assert len(list(database(house).parent.glob("*.damaged-*Z"))) == 1
    assert tree(house.home()) == tree(house.box())


def test_the_database_of_another_program_is_left_where_it_is(house: Daemon) -> None:
    database(house).unlink()
    with sqlite3.connect(database(house)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    before = database(house).read_bytes()
    house.spawn()
    assert house.ended() == 1
    assert "another program" in house.log()
    assert database(house).read_bytes() == before
