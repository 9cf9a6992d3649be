"""The embedded catalog, held to the contract; and what it promises alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from forged.ingest.catalog import file
from forged.ingest.catalog.file import CatalogDamaged
from forged.ingest.catalog.handler import Sqlite
from forged.ingest.catalog.reading import found
from forged.model.errors import IngestRefused
from forged.model.events import Event, EventKind
from forged.model.finding import Search
from forged.model.settings import SqliteIngest
from tests.ingest.contract import HandlerContract, media, synced


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


class FileReceiver:
    """It fails by having a file where its folder was, hangs by another's lock, and lies by undoing what is written."""

    idempotent = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state"
        self.path = self.folder / "catalog.db"
        self.handler = Sqlite("catalog", SqliteIngest(self.path), busy_s=1.5)
        self._other: sqlite3.Connection | None = None

    async def taken(self) -> list[str]:
        return [home for (home,) in rows(self.path, "select home from forged_files")] if self.path.exists() else []

    async def fails(self) -> None:
        if self.folder.exists():
            self.folder.rename(self.folder.with_name("away"))
        self.folder.write_text("not a folder")

    async def hangs(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._other = sqlite3.connect(self.path, isolation_level=None)
        self._other.execute("begin exclusive")

    async def lies(self) -> None:
        rows(self.path, "create trigger lie after insert on files begin select raise(rollback, 'it is not so'); end")

    async def heals(self) -> None:
        if self._other is not None:
            self._other.close()
            self._other = None
        if self.folder.is_file():
            self.folder.unlink()
            with suppress(FileNotFoundError):
                self.folder.with_name("away").rename(self.folder)
        if self.path.exists():
            rows(self.path, "drop trigger if exists lie")


class TestSqlite(HandlerContract):
    @pytest.fixture
    async def receiver(self, tmp_path: Path) -> AsyncIterator[FileReceiver]:
        receiver = FileReceiver(tmp_path)
        yield receiver
        await receiver.heals()
        await receiver.handler.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
async def handler(path: Path) -> AsyncIterator[Sqlite]:
    one = Sqlite("catalog", SqliteIngest(path))
    yield one
    await one.aclose()


def names(path: Path, search: Search, limit: int = 100) -> list[str]:
    return [os.fsdecode(one.home).rsplit("/", 1)[1] for one in found(path, search, limit)]


async def test_the_views_say_what_the_file_says(handler: Sqlite, path: Path) -> None:
    await handler.deliver([synced(1, media=media(1, "a \x00cat"))])
    facts = "target, path, size_bytes, sha256, mtime, landed_at, removed_at, kind, format, width, height"
    time = "2023-11-14T22:13:20.250Z"
    expected = ("studio", "00001.png", 1, f"{1:064x}", time, time, None, "image", "png", 512, 768)
    assert rows(path, f"select {facts} from forged_files") == [expected]
    made = ("a \ufffdcat 1", str(2**64 - 2), "sdxl", None, "A1111")
    assert rows(path, "select prompt, seed, model, model_hash, generator from forged_generations") == [made]
    assert rows(path, "select name, hash from forged_models") == [("sdxl", None)]
    assert rows(path, "select position, name, weight, hash from forged_loras") == [(0, "detail", 0.5, None)]


async def test_what_is_said_of_a_file_later_holds(handler: Sqlite, path: Path) -> None:
    home = "/media/one.png"

    def now() -> tuple[Any, ...]:
        what = "size_bytes, removed_at is null, prompt, (select count(*) from forged_loras)"
        [row] = rows(path, f"select {what} from forged_files f left join forged_generations g on g.file_id = f.id")
        return row

    await handler.deliver([synced(1, home)])
    assert now() == (1, 1, "a cat 1", 1)
    await handler.deliver([synced(2, home, size=1, sha256=f"{1:064x}", media=None, kind=EventKind.FILE_REMOVED)])
    assert now() == (1, 0, "a cat 1", 1)  # what is inside is not forgotten with the source
    await handler.deliver([synced(3, home, size=1, sha256=f"{1:064x}", media=media(9), again=True)])
    assert now() == (1, 0, "a cat 9", 1)  # looked into again: at the source it is still gone
    assert names(path, Search("9")) == ["one.png"] and names(path, Search("1")) == []
    await handler.deliver([synced(4, home, media=None)])
    assert now() == (4, 1, None, 0)  # replaced by another content, and nobody has looked into that yet
    assert names(path, Search("cat")) == [] and names(path, Search()) == ["one.png"]
    rows(path, "insert into search (search) values ('integrity-check')")


async def test_newest_first_is_by_landing_however_the_events_come(handler: Sqlite, path: Path) -> None:
    def at(number: int, second: int) -> Event:
        return synced(number, landed_at_ns=1_700_000_000_000_000_000 + second * 10**9)

    order = [at(3, 30), at(1, 10), at(4, 30), at(2, 20), at(5, 30)]
    for event in order:
        await handler.deliver([event])
    for asked in (Search(), Search("cat"), Search(target="studio")):
        found_names = names(path, asked)
        assert found_names[3:] == ["00002.png", "00001.png"]
        assert set(found_names[:3]) == {"00003.png", "00004.png", "00005.png"}
    since = Search("cat", since_ns=1_700_000_020_000_000_000)
    assert len(names(path, since)) == 4
    await handler.deliver([at(1, 40)])  # it was brought home anew
    assert names(path, Search("cat"))[0] == "00001.png"


async def test_very_many_that_landed_at_once_are_put_in_quickly(handler: Sqlite, path: Path) -> None:
    for first in range(1, 3001, 100):
        await handler.deliver([synced(number, media=None) for number in range(first, first + 100)])
    assert len(names(path, Search(), 5_000)) == 3_000


async def test_moments_at_which_many_landed_may_be_told_in_turns(path: Path) -> None:
    """As after each restart, or from two targets: 64 turns once were too many for the numbers of one moment."""
    moments = (1_700_000_000_000_000_000, 1_700_000_000_200_000_000, 1_700_000_000_000_100_000)
    for life in range(3):
        handler = Sqlite("catalog", SqliteIngest(path))
        first = life * 300
        await handler.deliver([synced(n, landed_at_ns=moments[n % 3]) for n in range(first + 1, first + 301)])
        await handler.aclose()
    assert rows(path, "select count(*), max(id) - min(id) < 10000 from files") == [(900, 1)]


async def test_a_damaged_catalog_is_set_aside_and_filled_again_by_a_replay(handler: Sqlite, path: Path) -> None:
    events = [synced(1), synced(2)]
    await handler.deliver(events)
    await handler.aclose()
    path.write_bytes(b"rubbish " * 1_000)
    again = Sqlite("catalog", SqliteIngest(path))
    with pytest.raises(CatalogDamaged) as error:
        await again.deliver([synced(3)])
    assert error.value.transient and "ingest replay" in error.value.hint
    [kept] = path.parent.glob("catalog.db.damaged-*")
    assert str(kept) in error.value.message and kept.read_bytes().startswith(b"rubbish")
    await again.deliver([*events, synced(3)])
    assert names(path, Search("cat")) == ["00003.png", "00002.png", "00001.png"]
    await again.aclose()


async def test_one_that_was_deleted_under_its_hands_is_begun_anew(handler: Sqlite, path: Path) -> None:
    await handler.deliver([synced(1)])
    for part in file.PARTS:
        Path(f"{path}{part}").unlink(missing_ok=True)
    await handler.deliver([synced(2)])
    assert names(path, Search()) == ["00002.png"]


async def test_that_it_has_nothing_is_said_once_of_each_catalog(handler: Sqlite, path: Path) -> None:
    assert [await handler.lost() for _ in range(3)] == [True, False, False]
    await handler.deliver([synced(1)])
    assert await handler.lost() is False
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()
    assert [await handler.lost() for _ in range(2)] == [True, False]
    await handler.deliver([synced(2)])
    again = Sqlite("catalog", SqliteIngest(path))
    assert await again.lost() is False, "after a restart it is not empty"
    await again.aclose()


async def test_the_files_of_others_and_of_a_newer_forged_are_left_alone(path: Path) -> None:
    rows(path, "create table photos (x)")
    one = Sqlite("catalog", SqliteIngest(path))
    with pytest.raises(IngestRefused, match="another program"):
        await one.deliver([synced(1)])
    assert rows(path, "select name from sqlite_master") == [("photos",)]
    path.unlink()
    await one.deliver([synced(1)])
    await one.aclose()
    rows(path, "pragma user_version = 9999")
    with pytest.raises(IngestRefused, match="newer forged"):
        await (two := Sqlite("catalog", SqliteIngest(path))).deliver([synced(1)])
    await two.aclose()


async def test_it_is_nobody_elses_to_read(handler: Sqlite, path: Path) -> None:
    await handler.deliver([synced(1)])
    assert {one.stat().st_mode & 0o777 for one in path.parent.iterdir()} == {0o600}


BATCHES, A_BATCH = 60, 50

DELIVERING = f"""
import asyncio, sys
from pathlib import Path
from forged.ingest.catalog.handler import Sqlite
from forged.model.settings import SqliteIngest
from tests.ingest.contract import synced

async def main():
    handler = Sqlite("catalog", SqliteIngest(Path(sys.argv[1])))
    for first in range(int(sys.argv[2]), {BATCHES * A_BATCH}, {A_BATCH}):
        await handler.deliver([synced(number) for number in range(first, first + {A_BATCH})])
        print(first + {A_BATCH}, flush=True)

asyncio.run(main())
"""


def test_killed_in_the_middle_nothing_that_was_taken_is_lost_and_nothing_is_there_twice(path: Path) -> None:
    taken, kills = 0, 0
    while taken < BATCHES * A_BATCH:
        process = subprocess.Popen([sys.executable, "-c", DELIVERING, str(path), str(taken)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            taken = int(line)
            if number == 4 + kills % 3 and kills < 6:
                process.send_signal(signal.SIGKILL)
                kills += 1
        process.wait()
        process.stdout.close()
        assert set(range(taken)) <= _numbers(path)
    assert kills == 6
    assert rows(path, "select count(*), count(distinct home) from forged_files") == [(BATCHES * A_BATCH,) * 2]
    assert len(names(path, Search("cat"), 10_000)) == BATCHES * A_BATCH
    rows(path, "insert into search (search) values ('integrity-check')")


def _numbers(path: Path) -> set[int]:
    return {int(home.rsplit("/", 1)[1][:5]) for (home,) in rows(path, "select home from forged_files")}


async def test_a_name_that_no_terminal_shows_is_found_as_it_is(handler: Sqlite, path: Path) -> None:
    exact = b"/media/a\nb\xff.png"
    shown = "/media/a\\nb\\xff.png"
    event = synced(1, shown)
    await handler.deliver([Event(event.id, event.kind, event.target, event.at_ns, os.fsdecode(exact), event.body)])
    [one] = found(path, Search(), 10)
    assert one.home == exact
