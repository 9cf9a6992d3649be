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
        self._queue: dict[Place, tuple[int, int]] = {}
        """Since when, and how often tried."""
        self.known: dict[Place, tuple[Known, Copy]] = {}

    def landed(self, name: ManifestName, row: ManifestRow, wanted: bool) -> None:
        """A row was recorded."""
        place = name, row.home, row.path
        if place in self.known and self.known[place][0].sha256 != row.sha256:
            del self.known[place]
        if wanted:
            self._queue[place] = (row.landed_at_ns, 0)

    def forget(self, name: ManifestName, path: SourcePath, home: HomePath | None = None) -> None:
        """All of a path, or what is at one of its homes."""
        for places in (self._queue, self.known):
            gone = [place for place in places if place[0] == name and place[2] == path and home in (None, place[1])]
            for place in gone:
                del places[place]

    async def queue(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> int:
        self.check()
        versions = [(self._versions(name, path), row) for path in set(paths) for row in self._versions(name, path)]
        there = [row for mine, row in versions if row is mine[-1] or not self._found(name, row)]
        rows = [row for row in there if row.tombstone_at_ns is None]
        self._queue.update({(name, row.home, row.path): (at_ns, 0) for row in rows})
        return len(rows)

    def _found(self, name: ManifestName, row: ManifestRow) -> bool:
        """Whether something was found in this version."""
        known, _ = self.known.get((name, row.home, row.path), (None, None))
        return known is not None and known.sha256 == row.sha256

    async def waiting(self, name: ManifestName, limit: int) -> Sequence[ToExamine]:
        self.check()
        mine = sorted((since_ns, path, home, tries) for (of, home, path), (since_ns, tries) in self._queue.items() if of == name)
        return [self._to_examine(name, path, home, since_ns, tries) for since_ns, path, home, tries in mine[:limit]]

    def _to_examine(self, name: ManifestName, path: SourcePath, home: HomePath, since_ns: int, tries: int) -> ToExamine:
        versions = self._versions(name, path)
        (row,) = (row for row in versions if row.home == home)
        return ToExamine(name, row, since_ns, tries, self._found(name, row), row is versions[-1])

    def queued(self, name: ManifestName) -> list[SourcePath]:
        """The paths whose current version waits."""
        return [path for of, home, path in self._queue if of == name and self._versions(name, path)[-1].home == home]

    async def count_waiting(self) -> Mapping[ManifestName, int]:
        self.check()
        return Counter(name for name, _, _ in self._queue)

    async def begun(self, files: Sequence[ToExamine]) -> None:
        self.check()
        for key in self._waiting_of(files):
            self._queue[key] = (self._queue[key][0], self._queue[key][1] + 1)

    async def put_back(self, files: Sequence[ToExamine]) -> None:
        self.check()
        tries = {_place(file): file.tries for file in files}
        for key in self._waiting_of(files):
            self._queue[key] = (self._queue[key][0], tries[key])

    def _waiting_of(self, files: Sequence[ToExamine]) -> list[Place]:
        return [_place(file) for file in files if _place(file) in self._queue]

    async def drop(self, files: Sequence[ToExamine]) -> None:
        self.check()
        for file in files:
            since_ns, _ = self._queue.get(_place(file), (None, 0))
            if since_ns == file.waits_since_ns and self._still(file):
                del self._queue[_place(file)]

    def _still(self, file: ToExamine) -> list[ManifestRow]:
        """Its version, if it is remembered."""
        rows = self._versions(file.manifest, file.path)
        return [row for row in rows if (row.home, row.sha256) == (file.home, file.sha256)]

    async def finish(self, examined: Sequence[Examined]) -> None:
        self.check()
        for one in examined:
            self._remember(one)
        await self.drop([one.file for one in examined])

    def _remember(self, one: Examined) -> None:
        file = one.file
        for row in self._still(file):
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


def _place(file: ToExamine) -> Place:
    return file.manifest, file.home, file.path


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
