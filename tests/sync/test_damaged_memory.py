"""Cleanup over a memory that lies: a damaged row, a file of the past, a log that is gone. Nothing goes that is not provably home.

The core is real, and so is the database; whatever becomes of it, home and the box are compared with what they were.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from forged.model.errors import ForgedError, StoreDamaged
from forged.model.manifest import Hold
from forged.model.paths import home_path
from forged.model.target import CleanupPolicy, Selection
from forged.rules.safety import Doubt
from forged.store.sqlite import begin_anew, open_store
from forged.sync.cleanup import run_cleanup
from forged.sync.homecheck import check_home
from tests.soak.chronicle import PATHS, Box, Chronicle, Home
from tests.support.world import World

DAY = 86_400.0
A, B, C, D, E, F, G, KEPT, LOG = PATHS


class House(World):
    """A world whose memory is a file, and which is held to a chronicle."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.select(Selection(mutable=("*.html",)))
        self.file = folder / "forged.db"
        self.destination = home = Home()
        self.box = box = Box(clock_ns=self.clock.now_ns())
        self.chronicle = box.chronicle = Chronicle(box, home)

    async def start(self) -> None:
        """As the daemon does: what is damaged is begun anew, and held."""
        try:
            self.store = await open_store(self.file)  # type: ignore[assignment]
        except StoreDamaged:
            hold = Hold(Doubt.STATE_REBUILT.value, "", self.clock.now_ns())
            begin_anew(self.file, {self.target.manifest: hold}, self.clock.now_ns())
            self.store = await open_store(self.file)  # type: ignore[assignment]

    async def synced(self, then_s: float = 1_000.0) -> None:
        self.age(1_000.0)
        await self.round()
        self.chronicle.reconcile()
        self.age(then_s)

    async def cleaned(self) -> int:
        """A cleanup in its turn; answers how many files went."""
        before, doors = self.chronicle.removals, self.doors()
        held = await self.store.flags.hold(self.target.manifest)
        self.chronicle.may_remove = held is None
        async with doors.source:
            await check_home(doors)
            await run_cleanup(doors, CleanupPolicy(age_s=DAY), dry_run=False)
        self.chronicle.reconcile()
        return self.chronicle.removals - before


async def lived(folder: Path) -> House:
    """Files of all kinds: plain, in versions, unfinished, preserved, growing, deleted and painted over by their owner."""
    house = House(folder)
    await house.start()
    writes = house.chronicle
    for path in PATHS:
        writes.create(path, path, 9)
    writes.half(B, B, 9)
    await house.synced()
    writes.equal_size(C, C, 1)  # a version beside, of the same size
    writes.grow(LOG, LOG, 9)
    writes.dispose(D, D, 9, unseen=False)
    writes.edit(E, E, 0, unseen=False)
    await house.synced()
    await check_home(house.doors())
    return house


async def lives_on(house: House) -> None:
    """Rounds and cleanups, before and after a person has looked; then everything that went was home, and home has it all."""
    await house.start()
    for look in range(2):
        await house.cleaned()
        await house.synced(2 * DAY)
        await house.cleaned()
        if look == 0:
            await house.store.flags.set_hold(house.target.manifest, None)
            await house.store.flags.set_released(house.target.manifest, 1)
    assert not house.chronicle.not_home()
    assert {B, KEPT} <= set(house.box.files)
    await house.store.close()


# --- harms to a closed file, and to one whose process was killed ----------------------------------------------------------------


def nothing(file: Path) -> None:
    """For comparison."""


def sql(statement: str) -> Callable[[Path], None]:
    def harm(file: Path) -> None:
        connection = sqlite3.connect(file)
        assert connection.execute(statement).rowcount
        connection.commit()
        connection.close()

    return harm


def of_path(path: bytes) -> str:
    return f"WHERE path = x'{path.hex()}' AND superseded = 0"


def garbage_page(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 4096 // 2 * 4096)
        opened.write(random.Random(1).randbytes(4096))


def cut_short(file: Path) -> None:
    os.truncate(file, random.Random(os.getpid()).randrange(file.stat().st_size))


HARMS: dict[str, Callable[[Path], None]] = {
    "nothing": nothing,
    "a home name that leads to a file of the same size": sql(f"UPDATE versions SET home = x'{F.hex()}' {of_path(D)}"),
    "a landing long ago": sql("UPDATE versions SET landed_at_ns = 1"),
    "no longer unfinished": sql(f"UPDATE versions SET incomplete = 0 {of_path(B)}"),
    "another hash": sql(f"UPDATE versions SET sha256 = zeroblob(32) {of_path(A)}"),
    "another size": sql(f"UPDATE versions SET size_bytes = size_bytes + 1 {of_path(A)}"),
    "an older mtime": sql("UPDATE versions SET mtime_ns = 1"),
    "another inode": sql("UPDATE versions SET inode = inode + 1, ctime_ns = ctime_ns + 1"),
    "no tombstones": sql("UPDATE versions SET tombstone_at_ns = NULL"),
    "gone, though it is there": sql("UPDATE versions SET at_source = 'gone'"),
    "an old version for the current one": sql(f"DELETE FROM versions {of_path(C)}"),
    "half of the rows": sql("DELETE FROM versions WHERE path < x'62'"),
    "another marker": sql("UPDATE destinations SET dest = x'2F6E6F7768657265'"),
    "garbage in a page": garbage_page,
    "cut short": cut_short,
    "of no length": lambda file: os.truncate(file, 0),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("harm", HARMS)
async def test_whatever_becomes_of_the_memory_nothing_goes_that_is_not_home(quick_path: Path, harm: str) -> None:
    house = await lived(quick_path)
    await house.store.close()
    HARMS[harm](house.file)
    if harm in (
        "no tombstones",
        "gone, though it is there",
        "half of the rows",
        "gone",
        "cut short",
        "of no length",
        "garbage in a page",
    ):
        house.chronicle.memory_was_lost = True
    await lives_on(house)
    assert house.chronicle.removals >= 5, "cleanup went on in the end"


async def test_a_file_deleted_at_home_is_never_removed_for_another_that_a_wrong_byte_leads_to(quick_path: Path) -> None:
    """What the seal is for: the look at home would have found the other one, of the same size."""
    house = await lived(quick_path)
    await house.store.close()
    HARMS["a home name that leads to a file of the same size"](house.file)
    with pytest.raises(StoreDamaged):
        await open_store(house.file)


@pytest.mark.parametrize("log", ["gone", "of another time"])
async def test_a_database_without_its_log_or_with_another(quick_path: Path, log: str) -> None:
    """As somebody leaves it who copies or restores one of the two files only."""
    house = await lived(quick_path)
    part = house.file.with_name("forged.db-wal")
    early = (house.file.read_bytes(), part.read_bytes())
    for path in (A, C, D):
        house.chronicle.create(path, path, 9)
    await house.synced()
    await house.store.close()
    house.file.write_bytes(early[0])
    if log == "of another time":
        part.write_bytes(early[1][: len(early[1]) // 2])
    house.chronicle.memory_was_lost = True
    await lives_on(house)


async def test_a_backup_of_long_ago_is_put_back(quick_path: Path) -> None:
    house = await lived(quick_path)
    await house.store.close()
    shutil.copyfile(house.file, quick_path / "backup")
    await house.start()
    for path in (A, C, D, E):
        house.chronicle.equal_size(path, path, 1)  # the same size, and cleaned away meanwhile
    await house.synced(2 * DAY)
    await house.cleaned()
    for path in (A, C):
        house.chronicle.create(path, path, 9)  # the same names, used again
    await house.synced()
    await house.store.close()
    shutil.copyfile(quick_path / "backup", house.file)
    house.chronicle.memory_was_lost = True
    await lives_on(house)


async def test_damage_in_the_middle_of_a_round_ends_it_and_nothing_else(quick_path: Path) -> None:
    house = await lived(quick_path)
    await house.store.close()
    await house.start()
    with house.file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(random.Random(2).randbytes(house.file.stat().st_size - 4096))
    house.chronicle.create(A, A, 9)
    house.age(1_000.0)
    result = await house.round()
    assert isinstance(result.error, StoreDamaged)
    with pytest.raises(ForgedError):
        await house.cleaned()
    house.chronicle.reconcile()
    await house.store.close()
    house.chronicle.memory_was_lost = True
    await lives_on(house)
    assert home_path(A) in house.destination.files
