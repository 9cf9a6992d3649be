"""Step 7: remember what landed. The only way from a Landed into the manifest, for landed and adopted files alike."""

from __future__ import annotations

from collections.abc import Sequence

from forged.model.files import Entry
from forged.model.manifest import ManifestRow
from forged.model.observer import FileLanded
from forged.model.paths import HomePath
from forged.model.transfer import Landed, LandedAs
from forged.rules import placement
from forged.sync.doors import Doors, Looks


class Memory:
    """Where files of this target belong at home, and the note that they are there."""

    def __init__(self, doors: Doors, looks: Looks) -> None:
        self._doors = doors
        self._looks = looks

    def place(self, entry: Entry) -> HomePath:
        """The name that this entry should get at home."""
        target = self._doors.target
        home, folders = target.home, target.selection.folders
        return placement.place(target.name, home.layout, home.names, entry.path, folders, entry.stat.mtime_ns)

    async def remember(self, landed: Sequence[Landed]) -> None:
        """Durable when it returns. Land, then remember: a crash in between is healed by adoption."""
        if not landed:
            return
        now_ns = self._doors.clock.now_ns()
        await self._doors.store.manifest.record(self._doors.target.manifest, [_row(one, now_ns) for one in landed])
        for one in landed:
            self._doors.observer.notice(self._fact(one, now_ns))

    def _fact(self, landed: Landed, now_ns: int) -> FileLanded:
        stat = landed.entry.stat
        moved_bytes = 0 if landed.how is LandedAs.ADOPTED else stat.size_bytes
        latency_ns = now_ns + self._looks.source_ahead_ns - stat.mtime_ns
        return FileLanded(self._doors.target.name, landed, moved_bytes=moved_bytes, latency_s=max(latency_ns, 0) / 1e9)


def _row(landed: Landed, now_ns: int) -> ManifestRow:
    return ManifestRow(
        path=landed.entry.path,
        stat=landed.entry.stat,
        sha256=landed.sha256,
        home=landed.home,
        landed_at_ns=now_ns,
        incomplete=landed.incomplete,
    )
