"""The toy twin of the media groups: see `memory`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from forged.model.events import NewEvent
from forged.model.manifest import ManifestName, ManifestRow
from forged.model.media import Alike, Copy, Equals, Examined, Known, Owed, ToExamine
from forged.model.paths import HomePath, SourcePath
from forged.store.copies import MOST_BITS

Place = tuple[ManifestName, HomePath, SourcePath]


class MemoryMedia:
    """See store/base.Media."""

    def __init__(
        self,
        check: Callable[[], None],
        versions: Callable[[ManifestName, SourcePath], Sequence[ManifestRow]],
        append: Callable[[Sequence[NewEvent]], None],
    ) -> None:
        self.check, self._versions, self._append = check, versions, append
        self._queue: dict[tuple[ManifestName, SourcePath], tuple[int, int]] = {}
        """Since when, and how often tried."""
        self.known: dict[Place, tuple[Known, Copy]] = {}

    def landed(self, name: ManifestName, row: ManifestRow, wanted: bool) -> None:
        """A row was recorded."""
        place = name, row.home, row.path
        if place in self.known and self.known[place][0].sha256 != row.sha256:
            del self.known[place]
        if wanted:
            self._queue[name, row.path] = (row.landed_at_ns, 0)

    def forget(self, name: ManifestName, path: SourcePath, home: HomePath | None = None) -> None:
        """All of a path, or what is at one of its homes."""
        self._queue.pop((name, path), None)
        gone = [place for place in self.known if place[0] == name and place[2] == path and home in (None, place[1])]
        for place in gone:
            del self.known[place]

    async def queue(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> int:
        self.check()
        there = {path for path in paths if any(row.tombstone_at_ns is None for row in self._versions(name, path)[-1:])}
        self._queue.update({(name, path): (at_ns, 0) for path in there})
        return len(there)

    async def waiting(self, name: ManifestName, limit: int) -> Sequence[ToExamine]:
        self.check()
        mine = sorted((since_ns, path, tries) for (of, path), (since_ns, tries) in self._queue.items() if of == name)
        return [self._to_examine(name, path, since_ns, tries) for since_ns, path, tries in mine[:limit]]

    def _to_examine(self, name: ManifestName, path: SourcePath, since_ns: int, tries: int) -> ToExamine:
        row = self._versions(name, path)[-1]
        known, _ = self.known.get((name, row.home, path), (None, None))
        return ToExamine(name, row, since_ns, tries, known is not None and known.sha256 == row.sha256)

    def queued(self, name: ManifestName) -> list[SourcePath]:
        return [path for of, path in self._queue if of == name]

    async def count_waiting(self) -> Mapping[ManifestName, int]:
        self.check()
        return Counter(name for name, _ in self._queue)

    async def begun(self, files: Sequence[ToExamine]) -> None:
        self.check()
        for key in self._waiting_of(files):
            self._queue[key] = (self._queue[key][0], self._queue[key][1] + 1)

    async def put_back(self, files: Sequence[ToExamine]) -> None:
        self.check()
        tries = {(file.manifest, file.path): file.tries for file in files}
        for key in self._waiting_of(files):
            self._queue[key] = (self._queue[key][0], tries[key])

    def _waiting_of(self, files: Sequence[ToExamine]) -> list[tuple[ManifestName, SourcePath]]:
        return [(file.manifest, file.path) for file in files if (file.manifest, file.path) in self._queue]

    async def drop(self, files: Sequence[ToExamine]) -> None:
        self.check()
        for file in files:
            since_ns, _ = self._queue.get((file.manifest, file.path), (None, 0))
            is_current = any(row.sha256 == file.sha256 for row in self._versions(file.manifest, file.path)[-1:])
            if is_current and since_ns == file.waits_since_ns:
                del self._queue[file.manifest, file.path]

    async def finish(self, examined: Sequence[Examined]) -> None:
        self.check()
        for one in examined:
            self._remember(one)
        await self.drop([one.file for one in examined])

    def _remember(self, one: Examined) -> None:
        file = one.file
        same = [row for row in self._versions(file.manifest, file.path) if (row.home, row.sha256) == (file.home, file.sha256)]
        for row in same[-1:]:
            known = Known(file.manifest, file.path, file.home, file.sha256, one.at_ns, one.owes, one.info)
            copy = Copy(file.manifest, file.path, file.home, file.sha256, row.stat.size_bytes, row.landed_at_ns)
            self.known[file.manifest, file.home, file.path] = (known, copy)
            self._append(one.events)

    async def info(self, name: ManifestName, path: SourcePath) -> Known | None:
        self.check()
        for row in self._versions(name, path)[-1:]:
            known, _ = self.known.get((name, row.home, path), (None, None))
            return known if known is not None and known.sha256 == row.sha256 else None
        return None

    async def of_home(self, name: ManifestName, home: HomePath, limit: int = 10) -> Sequence[Known]:
        self.check()
        found = [both for place, both in self.known.items() if place[:2] == (name, home)]
        return [known for known, copy in sorted(found, key=lambda both: (-both[1].landed_at_ns, both[1].path))[:limit]]

    async def owing(self, name: ManifestName, what: Owed, after: Known | None, limit: int) -> Sequence[Known]:
        self.check()
        begin = (name, after.home, after.path) if after is not None else (name, b"", b"")
        places = sorted(place for place in self.known if place[0] == name and place > begin)
        return [self.known[place][0] for place in places if what in self.known[place][0].owes][:limit]

    async def paid(self, known: Sequence[Known], what: Owed) -> None:
        self.check()
        for one in known:
            place = one.manifest, one.home, one.path
            if place in self.known and self.known[place][0].sha256 == one.sha256:
                now, copy = self.known[place]
                self.known[place] = (replace(now, owes=now.owes - {what}), copy)


class MemoryCopies:
    """See store/base.Copies."""

    def __init__(self, media: MemoryMedia) -> None:
        self._media = media

    def _all(self) -> list[tuple[Known, Copy]]:
        self._media.check()
        return list(self._media.known.values())

    async def equals(self, after: bytes | None, limit: int) -> Sequence[Equals]:
        sizes: dict[bytes, int] = {}
        for _, copy in self._all():
            sizes[copy.sha256] = max(copy.size_bytes, sizes.get(copy.sha256, 0))
        counts = Counter(copy.sha256 for _, copy in self._all())
        more = sorted(sha256 for sha256, files in counts.items() if files > 1 and sha256 > (after or b""))
        return [Equals(sha256, sizes[sha256], counts[sha256]) for sha256 in more[:limit]]

    async def copies(self, sha256: bytes, after: Copy | None, limit: int) -> Sequence[Copy]:
        mine = sorted((copy for _, copy in self._all() if copy.sha256 == sha256), key=_order)
        return [copy for copy in mine if after is None or _order(copy) > _order(after)][:limit]

    async def firsts(self, sha256: bytes, names: Sequence[ManifestName]) -> Sequence[Copy]:
        copies = await self.copies(sha256, None, len(self._media.known))
        mine = ([copy for copy in copies if copy.manifest == name] for name in names)
        return [of_one[0] for of_one in mine if of_one]

    async def same_pixels(self, pixels_sha256: bytes, limit: int) -> Sequence[Copy]:
        return [copy for known, copy in self._all() if known.info.likeness.pixels_sha256 == pixels_sha256][:limit]

    async def alike(self, dhash: bytes, limit: int) -> Sequence[Alike]:
        found = [
            Alike(copy, _bits(known.info.likeness.dhash or b"", dhash)) for known, copy in self._all() if known.info.likeness.dhash
        ]
        return sorted((one for one in found if one.bits <= MOST_BITS), key=lambda one: one.bits)[:limit]


def _order(copy: Copy) -> tuple[ManifestName, int, HomePath, SourcePath]:
    return copy.manifest, copy.landed_at_ns, copy.home, copy.path


def _bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
