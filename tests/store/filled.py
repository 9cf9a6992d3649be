"""A state database with something in every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from forged.model.alarms import Alarm, AlarmKind
from forged.model.boxes import Box, BoxId, BoxState, KnownBox
from forged.model.jobs import Job
from forged.model.manifest import AtSource, Hold, HostKeyPin, ManifestRow, Pause
from forged.model.media import Examined, Likeness, MediaInfo, MediaKind, Owed, RawBlock
from forged.model.target import SourceAddress, SourceKind
from forged.store import schema
from forged.store.border import put
from forged.store.jobs import _values
from forged.store.sql import SqlStore
from forged.store.sqlite import open_store
from tests.store.samples import COMFY, FORGE, event, job, row

NOON_NS = 1_700_000_000 * 10**9
HELD = Hold("state_rebuilt", "look at it", NOON_NS)


ROWS = [row(b"%06d.png" % n, b"content %d" % n) for n in range(40)]
INFO = MediaInfo(
    MediaKind.IMAGE, "png", raw=(RawBlock("png/tEXt/parameters", "a cat"),), likeness=Likeness(b"8 bytes.", b"pixel" * 6 + b"!!")
)
EXACT = replace(row(b"exact.png"), stat=replace(row(b"x").stat, inode=2**64 - 1))


async def filled(file: Path) -> list[ManifestRow]:
    """Something in every table; answers the rows of all versions."""
    store = await open_store(file)
    await store.manifest.record(FORGE, [*ROWS, replace(ROWS[1], incomplete=True), EXACT], [event()])
    await store.manifest.mark(FORGE, [ROWS[2].path], AtSource.REMOVED)
    await store.manifest.entomb(FORGE, [ROWS[3].path], 5)
    await store.media.queue(FORGE, [one.path for one in ROWS[4:9]], 3)
    (first, *_) = await store.media.waiting(FORGE, 1)
    await store.media.finish([Examined(first, INFO, 9, frozenset(Owed))])
    await store.flags.set_hold(FORGE, HELD)
    await store.flags.set_pause(COMFY, Pause(7))
    await store.pins.pin(FORGE, HostKeyPin("ssh-ed25519 AAAA", "SHA256:abc", 7))
    await store.destinations.remember("/srv/nas", "marker")
    await store.limits.keep("forge", "5MB/s")
    await store.jobs.save(job(1))
    box = Box(BoxId("7"), BoxState.RUNNING, (SourceAddress(SourceKind.SSH, "", "1.2.3.4"),), "mine", 5, "why")
    await store.boxes.remember("vast", [KnownBox(box)])
    await store.alarms.raise_(Alarm(AlarmKind.LOST, "vast@7", 7), [])
    versions = await all_versions(store)
    await store.close()
    return versions


async def all_versions(store: SqlStore) -> list[ManifestRow]:
    rows = await store.manifest.between(FORGE, None, None, 1_000)
    return [version for one in rows async for version in store.manifest.history(FORGE, one.path)]


async def save_jobs(store: SqlStore, jobs: Sequence[Job]) -> None:
    """All in one transaction."""
    async with store._border.writing() as connection:
        for one in jobs:
            await put(connection, schema.jobs, _values(one))
