"""A disk that flips bits: of a wrong bit in the state database nothing is believed that a removal could rely on.

A few places in `make test`; as a campaign places at random for FORGED_MINUTES.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from forged.kit.clock import HandClock
from forged.model.errors import ForgedError, StoreDamaged
from forged.model.manifest import ManifestRow
from forged.store.sqlite import open_store
from tests.store.filled import HELD, NOON_NS, all_versions, filled
from tests.store.samples import FORGE


def relied_on(one: ManifestRow) -> tuple[object, ...]:
    """What nobody asks the source or home about again."""
    return one.path, one.sha256, one.home, one.landed_at_ns, one.incomplete


class Disk:
    """A database file, of which one bit is another at a time."""

    def __init__(self, file: Path, rows: list[ManifestRow]) -> None:
        self.file, self.whole = file, file.read_bytes()
        self.known = {relied_on(one) for one in rows}
        self.outcomes: Counter[str] = Counter()

    async def flip(self, place: int, bit: int) -> None:
        """Whatever it is: the database is refused, or what is relied on is as it was written."""
        for part in ("-wal", "-shm"):
            self.file.with_name(self.file.name + part).unlink(missing_ok=True)
        data = bytearray(self.whole)
        data[place] ^= 1 << bit
        self.file.write_bytes(data)
        where = f"bit {bit} of byte {place}"
        try:
            store = await open_store(self.file, clock=HandClock(NOON_NS))
        except ForgedError as refused:
            self.outcomes["refused" if isinstance(refused, StoreDamaged) else f"refused: {refused.message.partition(': ')[2]}"] += 1
            return
        try:
            assert {relied_on(one) for one in await all_versions(store)} <= self.known, (
                f"{where}: a row is believed that nobody wrote"
            )
            hold = await store.flags.hold(FORGE)
            assert hold is not None, f"{where}: a hold is lost"
            self.outcomes["no matter" if hold == HELD else "other words"] += 1
            await store.jobs.recent()
        finally:
            await store.close()


async def test_no_wrong_bit_is_believed(quick_path: Path) -> None:
    disk = Disk(quick_path / "forged.db", await filled(quick_path / "forged.db"))
    chance = random.Random(os.getpid())
    for _ in range(40):
        await disk.flip(chance.randrange(len(disk.whole)), chance.randrange(8))
    while not disk.outcomes["refused"]:  # one in twenty is: most bits are of no matter, or of what can be found again
        await disk.flip(chance.randrange(len(disk.whole)), chance.randrange(8))
    assert disk.outcomes["refused"]


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
async def test_no_wrong_bit_is_believed_for_many_minutes(quick_path: Path) -> None:
    disk = Disk(quick_path / "forged.db", await filled(quick_path / "forged.db"))
    began_s, minutes = time.monotonic(), float(os.environ.get("FORGED_MINUTES", "20"))
    chance = random.Random(int(os.environ.get("FORGED_SEED", "1")))
    try:
        while time.monotonic() - began_s < 60 * minutes:
            await disk.flip(chance.randrange(len(disk.whole)), chance.randrange(8))
    finally:
        print(f"{disk.outcomes.total()} bits of {len(disk.whole)} bytes: {dict(disk.outcomes)}")
