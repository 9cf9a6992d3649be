"""The toy twin of a destination: a dict. It keeps every promise of the contract, for the tests of upper floors."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from forged.destination.base import (
    Closed,
    HomeFile,
    HomeLook,
    Landing,
    Linked,
    LinkMode,
    NoReplace,
    Readiness,
    Refused,
    SidecarPut,
)
from forged.kit.budget import Room, Unbounded
from forged.model.errors import DestinationError, DestinationMissing, MarkerMissing, SourceBroken
from forged.model.files import Problem, ProblemKind
from forged.model.paths import MAX_COMPONENT_BYTES, HomePath
from forged.model.transfer import Landed, LandedAs, Piece, Request, Staged, Wholeness

MOST_SIDECAR_BYTES = 8 << 20
"""As the contract says."""


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file at home."""

    data: bytes
    mtime_ns: int = 0


@dataclass(slots=True)
class _Pouring:
    """A staged file while its bytes come in. `ahead` waits for a hole to close."""

    request: Request
    data: bytearray
    ahead: dict[int, bytes] = field(default_factory=dict)
    end: int | None = None

    def add(self, piece: Piece) -> None:
        if piece.offset_bytes < len(self.data) or piece.offset_bytes in self.ahead:
            raise SourceBroken("the source sent bytes of a file twice")
        self.ahead[piece.offset_bytes] = b"".join(piece.data)
        if piece.last:
            self.end = piece.offset_bytes + piece.size_bytes
        while self.ahead.get(len(self.data)):
            self.data += self.ahead.pop(len(self.data))
        self.ahead.pop(len(self.data), None)

    @property
    def whole(self) -> bool:
        return self.end == len(self.data)

    def restarts(self, piece: Piece) -> bool:
        again = piece.offset_bytes == piece.request.offset_bytes and len(self.data) > piece.offset_bytes
        return again or piece.request is not self.request


class MemoryDestination:
    """Tests look into `files` and `parts`, and set `trouble` to break it: every method raises that until it is None again."""

    def __init__(self, room: Room | None = None, wholeness: Wholeness = Wholeness.UNKNOWN) -> None:
        self.files: dict[HomePath, MemoryFile] = {}
        self.parts: dict[str, bytearray] = {}
        self.room: Room = room or Unbounded()
        self.wholeness = wholeness
        """What is said of every file that comes in whole."""
        self.id = str(uuid.uuid4())
        """What the marker says; another one is another disk."""
        self.marked = False
        """Whether there is a marker already."""
        self.free_bytes = sys.maxsize
        """More than this does not fit in one file."""
        self.thumbs: dict[bytes, bytes] = {}
        self.links: dict[HomePath, HomePath] = {}
        """Which file shares the bytes of which other."""
        self.closed: set[bytes] = set()
        """Folders that the owner has closed to us."""
        self.trouble: DestinationError | None = None
        self._seen_id: str | None = None

    async def ready(self, known_id: str | None, *, may_be_new: bool = True) -> Readiness:
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        if (known_id is not None and known_id != self.id) or not (may_be_new or self.marked):
            raise MarkerMissing
        self.marked = True
        self._seen_id = self.id
        return Readiness(self.id, self.free_bytes, NoReplace.RENAMEAT2)

    async def check(self) -> None:
        """What each method does first, as the contract says."""
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        if self._seen_id is None:
            raise DestinationMissing("not looked at yet")
        if self._seen_id != self.id:
            raise MarkerMissing

    def sink(self) -> MemorySink:
        return MemorySink(self)

    async def resume_points(self, stagings: Sequence[str]) -> Sequence[int]:
        await self.check()
        return [len(self.parts.get(staging, b"")) for staging in stagings]

    async def free_space_bytes(self) -> int:
        await self.check()
        return self.free_bytes

    async def room_bytes(self) -> int:
        await self.check()
        return self.free_bytes

    async def discard(self, stagings: Collection[str]) -> None:
        await self.check()
        for staging in stagings:
            self.parts.pop(staging, None)

    async def sweep(self, keep: Collection[str]) -> int:
        await self.check()
        strays = [staging for staging in self.parts if staging not in keep]
        await self.discard(strays)
        return len(strays)

    async def land(self, batch: Sequence[Landing]) -> Sequence[Landed | Problem]:
        await self.check()
        return [self._land(landing) for landing in batch]

    def _land(self, landing: Landing) -> Landed | Problem:
        receipt, staged = landing.receipt, landing.receipt.staged
        if self._is_closed(landing.home):
            return Problem(receipt.entry.path, ProblemKind.HOME, "its folder at home is closed")
        data = self.parts.get(staged.staging)
        is_here = data is not None and len(data) == staged.size_bytes
        for home in (landing.home, *landing.versions):
            how = self._how(landing, home, is_here)
            if how is None:
                continue
            if how is not LandedAs.ADOPTED:
                self.files[home] = MemoryFile(bytes(data or b""), receipt.entry.stat.mtime_ns)
            self.parts.pop(staged.staging, None)
            return Landed(receipt.entry, home, staged.sha256, how, receipt.incomplete)
        return Problem(receipt.entry.path, ProblemKind.HOME, "every name is taken" if is_here else "its staged bytes are gone")

    def _how(self, landing: Landing, home: HomePath, is_here: bool) -> LandedAs | None:
        wanted, there = home == landing.home, self.files.get(home)
        if there is None:
            return (LandedAs.NEW if wanted else LandedAs.VERSION) if is_here else None
        sha256 = hashlib.sha256(there.data).digest()
        if sha256 == landing.receipt.staged.sha256:
            return LandedAs.ADOPTED
        return LandedAs.REPLACED if wanted and is_here and self._may_replace(landing, there.data, sha256) else None

    def _may_replace(self, landing: Landing, there: bytes, sha256: bytes) -> bool:
        if landing.replaces_sha256 is None or sha256 == landing.replaces_sha256:
            return landing.replaces_sha256 is not None
        new = bytes(self.parts[landing.receipt.staged.staging])
        return landing.replaces_bytes < len(there) < len(new) and new.startswith(there)

    async def look(self, homes: Sequence[HomePath]) -> Sequence[HomeLook | Closed | None]:
        await self.check()
        return [self._look(home) for home in homes]

    def _look(self, home: HomePath) -> HomeLook | Closed | None:
        if self._is_closed(home):
            return Closed.CLOSED
        file = self.files.get(home)
        return HomeLook(len(file.data), file.mtime_ns) if file else None

    def _is_closed(self, home: HomePath) -> bool:
        return any(home.startswith(folder + b"/") for folder in self.closed)

    async def hash(self, home: HomePath) -> bytes | None:
        await self.check()
        file = None if self._is_closed(home) else self.files.get(home)
        return hashlib.sha256(file.data).digest() if file else None

    async def inspect(self, home: HomePath) -> Wholeness:
        await self.check()
        file = None if self._is_closed(home) else self.files.get(home)
        return self.judged(file.data) if file else Wholeness.UNKNOWN

    def judged(self, data: bytes) -> Wholeness:
        """What the format of these bytes says."""
        return self.wholeness

    async def confirm(self, batch: Sequence[HomePath]) -> None:
        await self.check()

    async def open(self, home: HomePath) -> HomeFile | Closed | None:
        await self.check()
        seen = self._look(home)
        if not isinstance(seen, HomeLook):
            return seen
        fd = os.memfd_create("home", os.MFD_CLOEXEC)
        os.write(fd, self.files[home].data)
        return HomeFile(fd, seen)

    async def sidecar(self, home: HomePath) -> bytes | Refused | None:
        await self.check()
        if self._is_closed(home):
            return Refused("closed")
        file = self.files.get(_sidecar(home))
        if file is not None and len(file.data) > MOST_SIDECAR_BYTES:
            return Refused("too large")
        return Refused("too long") if _is_too_long(home) else file.data if file else None

    async def put_sidecar(self, home: HomePath, content: bytes, expects: bytes | None) -> SidecarPut | Refused:
        await self.check()
        if _is_too_long(home):
            return Refused("too long")
        if home not in self.files:
            return SidecarPut.GONE
        there = self.files.get(_sidecar(home))
        if (hashlib.sha256(there.data).digest() if there else None) != expects:
            return SidecarPut.CHANGED
        self.files[_sidecar(home)] = MemoryFile(content)
        return SidecarPut.DONE

    async def put_thumbnail(self, sha256: bytes, content: bytes) -> None:
        await self.check()
        self.thumbs[sha256] = content

    async def thumbnail(self, sha256: bytes) -> bytes | None:
        await self.check()
        return self.thumbs.get(sha256)

    async def link(self, first: HomePath, second: HomePath, sha256: bytes, mode: LinkMode) -> Linked:
        await self.check()
        both = [self.files[home].data for home in (first, second) if home in self.files]
        if len(both) < 2:
            return Linked.GONE
        if any(hashlib.sha256(data).digest() != sha256 for data in both):
            return Linked.DIFFERS
        if first == second or self.links.get(second) == first:
            return Linked.ALREADY
        self.links[second] = first
        return Linked.DONE

    async def aclose(self) -> None:
        self._seen_id = None


def _sidecar(home: HomePath) -> HomePath:
    return HomePath(home + b".xmp")


def _is_too_long(home: HomePath) -> bool:
    return len(home.rpartition(b"/")[2]) + len(b".xmp") > MAX_COMPONENT_BYTES


class MemorySink:
    """A sink into a MemoryDestination."""

    def __init__(self, destination: MemoryDestination) -> None:
        self._destination = destination
        self._pourings: dict[str, _Pouring] = {}

    @property
    def portion_bytes(self) -> int:
        return self._destination.room.portion_bytes

    async def reserve(self, size_bytes: int) -> None:
        await self._destination.check()
        await self._destination.room.take(size_bytes)

    def refund(self, size_bytes: int) -> None:
        self._destination.room.give(size_bytes)

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        try:
            await self._destination.check()
            return [staged for piece in pieces if (staged := self._add(piece)) is not None]
        finally:
            self._destination.room.give(sum(piece.size_bytes for piece in pieces))

    def _add(self, piece: Piece) -> Staged | None:
        staging = piece.request.staging
        pouring = self._pourings.get(staging)
        if pouring is None or pouring.restarts(piece):
            pouring = self._pourings[staging] = self._begin(piece.request)
        pouring.add(piece)
        if not pouring.whole:
            return None
        del self._pourings[staging]
        sha256 = hashlib.sha256(pouring.data).digest()
        return Staged(staging, len(pouring.data), sha256, self._destination.judged(bytes(pouring.data)))

    def _begin(self, request: Request) -> _Pouring:
        part = self._destination.parts.setdefault(request.staging, bytearray())
        if len(part) < request.offset_bytes:
            raise DestinationError(f"only {len(part)} of {request.offset_bytes} staged bytes are left")
        del part[request.offset_bytes :]
        return _Pouring(request, part)

    async def aclose(self) -> None:
        self._pourings.clear()
