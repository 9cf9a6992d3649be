"""Sinks for tests: they keep what comes and check every promise that the Sink asks of a source."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forged.kit.budget import ANY_PORTION_BYTES
from forged.model.errors import DestinationError
from forged.model.transfer import Piece, Staged, Wholeness

MIB = 1 << 20


@dataclass(slots=True)
class StagedBytes:
    """One file on its way: its bytes by offset."""

    start: int
    chunks: dict[int, bytes] = field(default_factory=dict)
    end: int = 0
    size_bytes: int = 0
    ended: bool = False
    done: bool = False

    def add(self, offset: int, data: bytes) -> None:
        if offset < self.end:  # out of order: look at all the others
            for start, chunk in self.chunks.items():
                assert offset >= start + len(chunk) or offset + len(data) <= start or not data, f"bytes at {offset} came twice"
        if data:
            self.chunks[offset] = data
            self.size_bytes += len(data)
            self.end = max(self.end, offset + len(data))

    def beginning(self) -> bytes:
        """Up to the first hole."""
        end, parts = self.start, []
        for offset in sorted(self.chunks):
            if offset != end:
                break
            parts.append(self.chunks[offset])
            end += len(self.chunks[offset])
        return b"".join(parts)

    def joined(self) -> bytes:
        whole = self.beginning()
        assert len(whole) == self.size_bytes, f"a hole at {self.start + len(whole)}"
        return whole


class MemorySink:
    """Takes everything into memory and never lets a source break a promise: at most `bound` bytes outstanding, no overlap, no hole.

    `resumed` holds the beginnings that are already staged, by staging name. After a fetch, `assert_even()`.
    """

    portion_bytes = ANY_PORTION_BYTES

    def __init__(self, bound: int = 32 * MIB, resumed: dict[str, bytes] | None = None) -> None:
        self.bound = bound
        self.resumed = resumed or {}
        self.outstanding = 0
        self.most_outstanding = 0
        self.received = 0
        self.files: dict[str, StagedBytes] = {}
        self.on_write: Callable[[Piece], None] = lambda piece: None
        self._room = asyncio.Event()

    async def reserve(self, size_bytes: int) -> None:
        assert 0 <= size_bytes <= self.bound, f"a reservation of {size_bytes} bytes can never be had"
        while self.outstanding + size_bytes > self.bound:
            self._room.clear()
            await self._room.wait()
        self.outstanding += size_bytes
        self.most_outstanding = max(self.most_outstanding, self.outstanding)

    def refund(self, size_bytes: int) -> None:
        assert 0 <= size_bytes <= self.outstanding, "more given back than was reserved"
        self.outstanding -= size_bytes
        self._room.set()

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        try:
            await asyncio.sleep(0)
        finally:
            self.refund(sum(piece.size_bytes for piece in pieces))
        staged = []
        for piece in pieces:
            self.on_write(piece)
            if self._take(piece):
                staged.append(self._finish(piece))
        return staged

    def _take(self, piece: Piece) -> bool:
        """Whether the file is whole now: its end was named, and no byte before it is missing."""
        request, offset = piece.request, piece.offset_bytes
        file = self.files.setdefault(request.staging, StagedBytes(request.offset_bytes))
        assert not file.done, "a piece after the last one"
        assert offset >= request.offset_bytes, "bytes below the resume offset"
        assert offset + piece.size_bytes <= request.entry.stat.size_bytes, "bytes beyond the listed size"
        assert not piece.last or offset + piece.size_bytes == request.entry.stat.size_bytes, "its end is not where it ends"
        file.add(offset, b"".join(piece.data))
        file.ended |= piece.last
        self.received += piece.size_bytes
        return file.ended and file.size_bytes == request.entry.stat.size_bytes - file.start

    def _finish(self, piece: Piece) -> Staged:
        file = self.files[piece.request.staging]
        file.done = True
        whole = self.content(piece.request.staging)
        return Staged(piece.request.staging, len(whole), hashlib.sha256(whole).digest(), Wholeness.UNKNOWN)

    def content(self, staging: str) -> bytes:
        """The whole file as staged: what was there before, and what came."""
        file = self.files[staging]
        return self.resumed.get(staging, b"")[: file.start] + file.joined()

    def keep_beginning(self, staging: str) -> int:
        """What a destination does when a transfer broke: the bytes stay, and the next one begins behind them."""
        if staging in self.files and not self.files[staging].done:
            self.resumed[staging] = self.resumed.get(staging, b"")[: self.files[staging].start] + self.files[staging].beginning()
            del self.files[staging]
        return len(self.resumed.get(staging, b""))

    def assert_even(self) -> None:
        """Everything reserved was written or given back."""
        assert self.outstanding == 0, f"{self.outstanding} reserved bytes were neither written nor given back"


class Halting(MemorySink):
    """Lets nothing more be asked for once `limit` bytes were, until it is told to `go_on`: a transfer that surely is not over."""

    def __init__(self, limit: int, bound: int = 32 * MIB) -> None:
        super().__init__(bound)
        self.left = limit
        self.halted = asyncio.Event()
        self._going = asyncio.Event()

    def go_on(self) -> None:
        self._going.set()

    async def reserve(self, size_bytes: int) -> None:
        if size_bytes > self.left:
            self.halted.set()
            await self._going.wait()
        self.left -= size_bytes
        await super().reserve(size_bytes)


class FullDisk(MemorySink):
    """Raises DiskFull-like trouble once `room` bytes have come."""

    def __init__(self, room: int, bound: int = 32 * MIB) -> None:
        super().__init__(bound)
        self.room = room

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        if self.received + sum(piece.size_bytes for piece in pieces) > self.room:
            self.refund(sum(piece.size_bytes for piece in pieces))
            raise DestinationError("the disk of this test is full")
        return await super().write(pieces)


class NullSink(MemorySink):
    """Counts bytes and forgets them; for measuring. Its hashes are empty."""

    def __init__(self) -> None:
        super().__init__()
        self._left: dict[str, int] = {}

    def _take(self, piece: Piece) -> bool:
        size_bytes, wanted = piece.size_bytes, piece.request.entry.stat.size_bytes - piece.request.offset_bytes
        self.received += size_bytes
        left = self._left[piece.request.staging] = self._left.get(piece.request.staging, wanted + 1) - size_bytes - piece.last
        return left == 0

    def _finish(self, piece: Piece) -> Staged:
        del self._left[piece.request.staging]
        return Staged(piece.request.staging, piece.request.entry.stat.size_bytes, b"", Wholeness.UNKNOWN)
