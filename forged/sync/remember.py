"""Remember, the sixth step. The only way from a Landed into the manifest, for landed and adopted files alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Collection, Sequence

from forged.model.events import NewEvent
from forged.model.manifest import ManifestRow
from forged.model.observer import FilesLanded
from forged.model.paths import SourcePath
from forged.model.transfer import Landed
from forged.rules import media
from forged.sync.doors import Doors
from forged.sync.looks import Looks
from forged.sync.publish import file_synced


async def remember(doors: Doors, looks: Looks, landed: Sequence[Landed], *, wanted: bool = True) -> None:
    """Durable when it returns. Land, then remember: a crash in between is healed by adoption.

    `wanted`: the observer was told before that they would come.
    """
    if not landed:
        return
    now_ns = doors.clock.now_ns()
    policy, name = doors.target.media, doors.target.manifest
    to_examine = {one.entry.path for one in landed if media.is_examined(policy, one.entry.path, one.entry.stat.size_bytes)}
    rows = [_row(one, now_ns) for one in landed]
    events = _events(doors, rows, to_examine) if doors.takers.anybody() else []
    await doors.store.manifest.record(name, rows, events, to_examine)
    if media.is_on(policy):
        again = [path for one in landed for path in media.tells_of(doors.target.type, one.entry.path) if path not in to_examine]
        if again:
            await doors.store.media.queue(name, again, now_ns)
    doors.observer.notice(FilesLanded(doors.target.name, landed, now_ns + looks.source_ahead_ns, wanted))


async def remembered(doors: Doors, looks: Looks, landed: AsyncIterable[list[Landed]]) -> AsyncGenerator[list[Landed], None]:
    """Batch by batch, while the next one lands; what is yielded is durable at home and in the manifest."""
    async for batch in landed:
        await remember(doors, looks, batch)
        yield batch


def _events(doors: Doors, rows: Sequence[ManifestRow], to_examine: Collection[SourcePath]) -> list[NewEvent]:
    """Of those that are not looked into: for the others sync/enrich tells it, with what was found."""
    now_ns, discovery = doors.clock.now_ns(), doors.takers.discovery
    return [file_synced(doors.target, row, now_ns, discovery=discovery) for row in rows if row.path not in to_examine]


def _row(landed: Landed, now_ns: int) -> ManifestRow:
    entry = landed.entry
    return ManifestRow(entry.path, entry.stat, landed.sha256, landed.home, now_ns, landed.incomplete)
