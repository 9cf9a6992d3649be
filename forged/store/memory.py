"""The toy twin: the same promises in memory, for tests of those who use a store. Nothing is durable."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from msgspec.structs import replace

from forged.model.alarms import Alarm, AlarmKind
from forged.model.boxes import KnownBox
from forged.model.errors import StoreError
from forged.model.events import NewEvent
from forged.model.files import Entry, Outline, Stat
from forged.model.jobs import Job, JobId
from forged.model.manifest import AtSource, Hold, HostKeyPin, ManifestName, ManifestRow, Pause
from forged.model.paths import SourcePath
from forged.store.base import JOBS_KEPT
from forged.store.journal import Journaled
from forged.store.memory_media import MemoryCopies, MemoryMedia
from forged.store.memory_outbox import MemoryIngests, MemoryOutbox


class _Open:
    """Whether the store is still open; shared by its groups."""

    def __init__(self) -> None:
        self.closed = False

    def check(self) -> None:
        if self.closed:
            raise StoreError("the store is closed already; forged is stopping")


class MemoryRows:
    """See store/base.Rows. Versions of a path lie oldest first; paths are kept in order beside them."""

    def __init__(self, open: _Open, outbox: MemoryOutbox) -> None:
        self._open = open
        self._outbox = outbox
        self._versions: dict[ManifestName, dict[SourcePath, list[ManifestRow]]] = {}
        self.media = MemoryMedia(open.check, self._of, outbox.append)
        self._paths: dict[ManifestName, list[SourcePath]] = {}

    async def between(
        self, name: ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int
    ) -> Sequence[ManifestRow]:
        self._open.check()
        versions, paths = self._versions.get(name, {}), self._paths.get(name, [])
        start = 0 if after is None else bisect_right(paths, after)
        end = len(paths) if upto is None else bisect_right(paths, upto)
        return [versions[path][-1] for path in paths[start : min(end, start + limit)]]

    async def outlines(
        self, name: ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int
    ) -> Sequence[Outline]:
        rows = await self.between(name, after, upto, len(self._paths.get(name, [])))
        return [Entry(row.path, row.stat).outline for row in rows if row.at_source is AtSource.PRESENT][:limit]

    async def current(self, name: ManifestName, paths: Sequence[SourcePath]) -> Sequence[ManifestRow | None]:
        self._open.check()
        versions = self._versions.get(name, {})
        return [versions[path][-1] if path in versions else None for path in paths]

    async def record(
        self,
        name: ManifestName,
        rows: Sequence[ManifestRow],
        events: Sequence[NewEvent] = (),
        to_examine: Collection[SourcePath] = frozenset(),
    ) -> None:
        self._open.check()
        versions, paths = self._versions.setdefault(name, {}), self._paths.setdefault(name, [])
        for row in rows:
            if row.path not in versions:
                versions[row.path] = [row]
                insort(paths, row.path)
            elif versions[row.path][-1] != row:
                versions[row.path] = [version for version in versions[row.path] if version.home != row.home] + [row]
            self.media.landed(name, row, row.path in to_examine)
        self._outbox.append(events)

    async def restat(self, name: ManifestName, seen: Sequence[tuple[SourcePath, Stat]]) -> None:
        for versions, stat in [(v, stat) for path, stat in seen for v in self._known(name, [path])]:
            versions[-1] = replace(versions[-1], stat=stat, at_source=AtSource.PRESENT)

    async def mark(
        self, name: ManifestName, paths: Sequence[SourcePath], at_source: AtSource, events: Sequence[NewEvent] = ()
    ) -> None:
        for versions in self._known(name, paths):
            versions[-1] = replace(versions[-1], at_source=at_source)
        self._outbox.append(events)

    async def entomb(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> None:
        for versions in self._known(name, paths):
            self.media.forget(name, versions[-1].path, versions[-1].home)
            if versions[-1].tombstone_at_ns is None:
                versions[-1] = replace(versions[-1], tombstone_at_ns=at_ns)

    async def forget(self, name: ManifestName, paths: Sequence[SourcePath] | None = None) -> int:
        self._open.check()
        versions = self._versions.get(name, {})
        gone = set(versions if paths is None else paths) & set(versions)
        for path in gone:
            self.media.forget(name, path)
            del versions[path]
        self._paths[name] = [path for path in self._paths.get(name, []) if path not in gone]
        return len(gone)

    async def count(self, name: ManifestName) -> tuple[int, int]:
        self._open.check()
        current = [versions[-1] for versions in self._versions.get(name, {}).values()]
        return len(current), sum(row.stat.size_bytes for row in current)

    async def history(self, name: ManifestName, path: SourcePath) -> AsyncIterator[ManifestRow]:
        for versions in self._known(name, [path]):
            for row in reversed(tuple(versions)):
                yield row

    async def homes(self, name: ManifestName, path: SourcePath, sha256: bytes) -> ManifestRow | None:
        for versions in self._known(name, [path]):
            return next((row for row in reversed(versions) if row.sha256 == sha256), None)
        return None

    def newest_ns(self) -> int:
        """When the last of all files landed."""
        every = (row.landed_at_ns for paths in self._versions.values() for versions in paths.values() for row in versions)
        return max(every, default=0)

    def _of(self, name: ManifestName, path: SourcePath) -> Sequence[ManifestRow]:
        """All versions of a path, the current one last."""
        return self._versions.get(name, {}).get(path, ())

    def _known(self, name: ManifestName, paths: Sequence[SourcePath]) -> list[list[ManifestRow]]:
        self._open.check()
        versions = self._versions.get(name, {})
        return [versions[path] for path in paths if path in versions]


class MemoryJobs:
    """See store/base.Jobs."""

    def __init__(self, open: _Open) -> None:
        self._open = open
        self._jobs: dict[JobId, Job] = {}

    async def save(self, job: Job) -> None:
        self._open.check()
        self._jobs[job.id] = job
        for old in self._newest_first()[JOBS_KEPT:]:
            if old.status.ended:
                del self._jobs[old.id]

    async def get(self, id: JobId) -> Job | None:
        self._open.check()
        return self._jobs.get(id)

    async def recent(self, limit: int = 100, before: Job | None = None) -> Sequence[Job]:
        self._open.check()
        jobs = self._newest_first()
        return [j for j in jobs if before is None or (j.start_ns, j.id) < (before.start_ns, before.id)][:limit]

    def _newest_first(self) -> list[Job]:
        return sorted(self._jobs.values(), key=lambda j: (j.start_ns, j.id), reverse=True)


class MemoryFlags:
    """See store/base.Flags."""

    def __init__(self, open: _Open) -> None:
        self._open = open
        self._pauses: dict[ManifestName, Pause | None] = {}
        self._holds: dict[ManifestName, Hold | None] = {}
        self._troubles: dict[ManifestName, int | None] = {}
        self._releases: dict[ManifestName, int | None] = {}

    async def pause(self, name: ManifestName) -> Pause | None:
        self._open.check()
        return self._pauses.get(name)

    async def set_pause(self, name: ManifestName, pause: Pause | None) -> None:
        self._open.check()
        self._pauses[name] = pause

    async def hold(self, name: ManifestName) -> Hold | None:
        self._open.check()
        return self._holds.get(name)

    async def set_hold(self, name: ManifestName, hold: Hold | None) -> None:
        self._open.check()
        self._holds[name] = hold

    async def released(self, name: ManifestName) -> int | None:
        self._open.check()
        return self._releases.get(name)

    async def set_released(self, name: ManifestName, since_ns: int | None) -> None:
        self._open.check()
        self._releases[name] = since_ns

    async def trouble(self, name: ManifestName) -> int | None:
        self._open.check()
        return self._troubles.get(name)

    async def set_trouble(self, name: ManifestName, since_ns: int | None) -> None:
        self._open.check()
        self._troubles[name] = since_ns


class MemoryLimits:
    """See store/base.Limits."""

    def __init__(self, open: _Open) -> None:
        self._open = open
        self._limits: dict[str | None, str] = {}

    async def kept(self) -> Mapping[str | None, str]:
        self._open.check()
        return dict(self._limits)

    async def keep(self, target: str | None, limit: str | None) -> None:
        self._open.check()
        self._limits.pop(target, None)
        if limit is not None:
            self._limits[target] = limit


class MemoryPins:
    """See model/manifest.PinKeeper."""

    def __init__(self, open: _Open) -> None:
        self._open = open
        self._pins: dict[ManifestName, HostKeyPin] = {}

    async def pinned(self, name: ManifestName) -> HostKeyPin | None:
        self._open.check()
        return self._pins.get(name)

    async def pin(self, name: ManifestName, pin: HostKeyPin) -> None:
        self._open.check()
        self._pins[name] = pin


class MemoryDestinations:
    """See store/base.Destinations."""

    def __init__(self, open: _Open) -> None:
        self._open = open
        self._ids: dict[str, str] = {}

    async def known_id(self, dest: str) -> str | None:
        self._open.check()
        return self._ids.get(dest)

    async def remember(self, dest: str, id: str) -> None:
        self._open.check()
        self._ids[dest] = id


class MemoryBoxes:
    """See store/base.Boxes."""

    def __init__(self, open: _Open) -> None:
        self._open = open
        self._known: dict[str, list[KnownBox]] = {}

    async def known(self, discovery: str) -> Sequence[KnownBox]:
        self._open.check()
        return list(self._known.get(discovery, []))

    async def remember(self, discovery: str, known: Sequence[KnownBox]) -> None:
        self._open.check()
        self._known[discovery] = sorted(known, key=lambda one: one.box.id)

    async def keep_only(self, discoveries: Sequence[str]) -> None:
        self._open.check()
        self._known = {name: known for name, known in self._known.items() if name in discoveries}


class MemoryAlarms:
    """See store/base.Alarms."""

    def __init__(self, open: _Open, outbox: MemoryOutbox) -> None:
        self._open = open
        self._outbox = outbox
        self._raised: dict[tuple[AlarmKind, str], Alarm] = {}

    async def raised(self) -> Sequence[Alarm]:
        self._open.check()
        return list(self._raised.values())

    async def raise_(self, alarm: Alarm, events: Sequence[NewEvent]) -> None:
        self._open.check()
        self._raised.setdefault((alarm.kind, alarm.subject), alarm)
        self._outbox.append(events)

    async def end(self, alarm: Alarm, events: Sequence[NewEvent] = ()) -> None:
        self._open.check()
        self._raised.pop((alarm.kind, alarm.subject), None)
        self._outbox.append(events)


class MemoryStore:
    """See store/base.Store."""

    most_name_bytes: int | None = None

    def __init__(self) -> None:
        self._open = _Open()
        self.outbox = MemoryOutbox(self._open.check)
        rows = MemoryRows(self._open, self.outbox)
        self.ingests = MemoryIngests(self._open.check, self.outbox, rows.newest_ns, rows.media.queued)
        self.manifest, self.media, self.copies = Journaled(rows), rows.media, MemoryCopies(rows.media)
        self.jobs = MemoryJobs(self._open)
        self.flags = MemoryFlags(self._open)
        self.limits = MemoryLimits(self._open)
        self.destinations = MemoryDestinations(self._open)
        self.pins = MemoryPins(self._open)
        self.boxes = MemoryBoxes(self._open)
        self.alarms = MemoryAlarms(self._open, self.outbox)

    async def identity(self) -> str:
        self._open.check()
        return f"{id(self):016x}"

    async def close(self) -> None:
        self._open.closed = True
