"""Step 7: remember what landed. The only way from a Landed into the manifest, for landed and adopted files alike."""

from __future__ import annotations

from collections.abc import Sequence

from forged.model.manifest import ManifestRow
from forged.model.observer import FileLanded
from forged.model.transfer import Landed, LandedAs
from forged.sync.doors import Doors, Looks


async def remember(doors: Doors, looks: Looks, landed: Sequence[Landed]) -> None:
    """Durable when it returns. Land, then remember: a crash in between is healed by adoption."""
    if not landed:
        return
    now_ns = doors.clock.now_ns()
    await doors.store.manifest.record(doors.target.manifest, [_row(one, now_ns) for one in landed])
    for one in landed:
        doors.observer.notice(_fact(doors.target.name, one, now_ns + looks.source_ahead_ns))


def _row(landed: Landed, now_ns: int) -> ManifestRow:
    return ManifestRow(
        path=landed.entry.path,
        stat=landed.entry.stat,
        sha256=landed.sha256,
        home=landed.home,
        landed_at_ns=now_ns,
        incomplete=landed.incomplete,
    )


def _fact(target: str, landed: Landed, source_now_ns: int) -> FileLanded:
    stat = landed.entry.stat
    moved_bytes = 0 if landed.how is LandedAs.ADOPTED else stat.size_bytes
    latency_ns = source_now_ns - stat.mtime_ns
    return FileLanded(target, landed, moved_bytes=moved_bytes, latency_s=max(latency_ns, 0) / 1e9)
