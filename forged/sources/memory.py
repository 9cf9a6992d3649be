"""The toy twin of a source, looking into a `MemoryBox`. It keeps every promise of the contract, and breaks only by hand-set
faults (`memory_faults`).
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from types import TracebackType
from typing import Self

from forged.model.errors import NotSupported, SourceLost, SourceMissing
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart, Stat
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import KeptBecause, Removable, Removed
from forged.model.transfer import Fetched, Piece, Request, Sink
from forged.sources.base import Capabilities, Hashed, Notices
from forged.sources.memory_box import PIECE_BYTES, MemoryBox, MemoryFile
from forged.sources.memory_faults import Fault
from forged.sources.memory_watch import MemoryWatch

PART_ENTRIES = 100
"""Small for the same reason; the contract allows 4,096."""

PART_ENDS = 32
"""One path of so many ends a part, whatever stands before it: so a new file changes its own part and none behind it."""


class MemorySource:
    """A source that looks into a MemoryBox. `faults` are asked at every step and may raise or change the box."""

    def __init__(
        self,
        box: MemoryBox,
        *faults: Fault,
        hashing: bool = True,
        guarded_removal: bool = True,
        watching: bool = True,
        unguarded_removal: bool = False,
    ) -> None:
        self.box = box
        self.faults = faults
        self._capabilities = Capabilities("memory", hashing, guarded_removal, watching, unguarded_removal)
        self._watches: set[MemoryWatch] = set()
        self._open = False

    @property
    def capabilities(self) -> Capabilities:
        self._check_open()
        return self._capabilities

    async def __aenter__(self) -> Self:
        await asyncio.sleep(0)
        for fault in self.faults:
            fault.on_open(self.box)
        self._open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open = False
        for watch in self._watches:
            watch.end(SourceLost("the source was closed"))

    def _check_open(self) -> None:
        if not self._open:
            raise SourceLost("the source is not open")

    # --- listing ----------------------------------------------------------------------------------------------------------

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        self._check_open()
        if self.box.missing:
            raise SourceMissing("the root folder does not exist")
        began_ns, sent, unsaid = self.box.clock_ns, 0, set(known)
        for part in _parts(*self._seen(folders)):
            await asyncio.sleep(0)
            for fault in self.faults:
                fault.before_part(self.box, sent)
            self._check_open()
            sent += len(part.entries)
            if part.digest is not None and part.digest in unsaid:
                unsaid.remove(part.digest)
                yield SamePart(part.digest)
            else:
                yield part
        yield ListingEnd(sent, began_ns)

    def _seen(self, folders: Sequence[SourcePath]) -> tuple[Sequence[Entry], Sequence[Problem]]:
        box = self.box
        problems = [self._closed(path) for path in sorted(box.unreadable - box.files.keys()) if _below(path, folders)]
        problems += [Problem(path, ProblemKind.LINK, "a symbolic link") for path in sorted(box.links) if _below(path, folders)]
        problems += [Problem(f, ProblemKind.VANISHED, "no such folder") for f in folders if not self._exists(f)]
        wanted = sorted(path for path in box.files if _below(path, folders) and not self._in_closed_folder(path))
        return [Entry(path, box.files[path].stat) for path in wanted], problems

    def _closed(self, path: SourcePath) -> Problem:
        return Problem(path, ProblemKind.UNREADABLE, "permission denied")

    def _in_closed_folder(self, path: SourcePath) -> bool:
        return path not in self.box.unreadable and self.box.hidden(path)

    def _exists(self, folder: SourcePath) -> bool:
        paths = [*self.box.files, *self.box.folders, *self.box.unreadable, *self.box.links]
        return any(path == folder or path.startswith(folder + b"/") for path in paths)

    # --- bytes ------------------------------------------------------------------------------------------------------------

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        for request in batch:
            self._check_open()
            yield await self._fetch_one(request, sink)

    async def _fetch_one(self, request: Request, sink: Sink) -> Fetched | Problem:
        path, expected = request.entry.path, request.entry.stat
        before = self._opened(path, expected)
        if isinstance(before, Problem):
            return before
        file = self.box.files[path]
        offset, last = request.offset_bytes, False
        while not last:
            size = min(PIECE_BYTES, expected.size_bytes - offset)
            await sink.reserve(size)
            data = self._read(request, file, offset, size, sink)
            last = offset + len(data) == expected.size_bytes
            sink.refund(size - len(data))
            staged = await sink.write([Piece(request, offset, (data,) if data else (), last)])
            offset += len(data)
            if len(data) < size:
                return Problem(path, ProblemKind.CHANGED, "it became shorter while it was read")
        after = self.box.look(path)
        if isinstance(after, Problem):
            return after
        sha256 = hashlib.sha256(file.data).digest() if self._capabilities.hashing and request.hash_at_source else None
        return Fetched(request, before, after, sha256, staged[0])

    def _opened(self, path: SourcePath, expected: Stat) -> Stat | Problem:
        now = self.box.look(path)
        if isinstance(now, Problem):
            return now
        if self.box.hidden(path):
            return self._closed(path)
        if not now.same_file(expected):
            return Problem(path, ProblemKind.CHANGED, "it changed since it was listed")
        return now

    def _read(self, request: Request, file: MemoryFile, offset: int, size: int, sink: Sink) -> bytes:
        try:
            for fault in self.faults:
                fault.before_piece(self.box, request, offset)
            self._check_open()
        except BaseException:
            sink.refund(size)
            raise
        return file.data[offset : offset + size]

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        if not self._capabilities.hashing:
            raise NotSupported("this memory source was told not to hash")
        for entry in entries:
            await asyncio.sleep(0)
            self._check_open()
            now = self._opened(entry.path, entry.stat)
            if isinstance(now, Problem):
                yield now
            else:
                yield Hashed(entry, now, hashlib.sha256(self.box.files[entry.path].data).digest())

    # --- looking and removing ---------------------------------------------------------------------------------------------

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        self._check_open()
        return [self.box.look(path) for path in paths]

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        self._check_open()
        return [self.box.resolve(folder) for folder in folders]

    async def clock_ns(self) -> int:
        self._check_open()
        return self.box.clock_ns

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        self._check_open()
        if not self._capabilities.watching:
            raise NotSupported("this memory source was told not to watch")
        if self.box.missing:
            raise SourceMissing("the root folder does not exist")
        with MemoryWatch(self.box, lambda path: _below(path, folders)) as watch:
            self._watches.add(watch)
            try:
                yield self._told(Notices())
                while True:
                    yield self._told(await watch.next())
            finally:
                self._watches.discard(watch)

    def _told(self, notices: Notices) -> Notices:
        for fault in self.faults:
            notices = fault.before_notices(self.box, notices)
        return notices

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        self._check_open()
        if not self._capabilities.guarded_removal:
            raise NotSupported("this memory source was told not to remove")
        for fault in self.faults:
            fault.before_removal(self.box)
        answers = [self._remove(removable) for removable in batch]
        for fault in self.faults:
            fault.after_removal(self.box)
        return answers

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        self._check_open()
        if not self._capabilities.unguarded_removal:
            raise NotSupported("this memory source was told not to remove without a guard")
        return [self._remove(removable) for removable in batch]

    def _remove(self, removable: Removable) -> Removed:
        path, row = removable.row.path, removable.row
        now = self.box.look(path)
        if isinstance(now, Problem):
            gone = now.kind is ProblemKind.VANISHED
            return Removed(path, KeptBecause.VANISHED if gone else KeptBecause.CHANGED, now.message)
        same_bytes = now.same_file(removable.expected) or hashlib.sha256(self.box.files[path].data).digest() == row.sha256
        if not now.same_outside(removable.expected) or not same_bytes:
            return Removed(path, KeptBecause.CHANGED, "it is not what was brought home")
        self.box.delete(path)
        return Removed(path)

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        self._check_open()
        if not (self._capabilities.guarded_removal or self._capabilities.unguarded_removal):
            raise NotSupported("this memory source was told not to remove")
        return [folder for folder in sorted(set(folders), reverse=True) if self.box.remove_folder(folder)]


def _parts(entries: Sequence[Entry], problems: Sequence[Problem]) -> Iterator[ListingPart]:
    """Problems in parts of their own, so that all others have a digest."""
    for start in range(0, len(problems), PART_ENTRIES):
        yield ListingPart((), tuple(problems[start : start + PART_ENTRIES]))
    part: list[Entry] = []
    for at, entry in enumerate(entries, 1):
        part.append(entry)
        if at == len(entries) or len(part) == PART_ENTRIES or zlib.crc32(entry.path) % PART_ENDS == 0:
            yield ListingPart(tuple(part), digest=_digest(part))
            part = []


def _digest(part: Sequence[Entry]) -> bytes:
    return hashlib.blake2b(repr(part).encode(), digest_size=16).digest()


def _below(path: SourcePath, folders: Sequence[SourcePath]) -> bool:
    return not folders or any(path == folder or path.startswith(folder + b"/") for folder in folders)
