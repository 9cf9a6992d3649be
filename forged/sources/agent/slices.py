"""A slice: a range of one file on its way, one call to an agent. A file has one, a large one several, on different lanes.

A file of one slice brings its hash with it. One of several is hashed by a call of its own, meanwhile: no slice sees all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from forged.model.errors import SourceBroken, SourceError
from forged.model.files import Problem
from forged.model.transfer import Piece
from forged.sources.agent.calls import READ_TROUBLES, hashed, problem
from forged.sources.agent.pulse import PATIENCE_S, Duty, hash_patience_s
from forged.sources.agent.wire import Done, Frame, Kind, expect, fetch_payload, hash_payload, parse_done
from forged.sources.base import Hashed

if TYPE_CHECKING:
    from forged.sources.agent.fetching import FileFetch

SLICE_BYTES = 8 << 20
"""A larger file comes in slices of this size. At 17 to 50 MB/s, what one connection carries, one takes half a second or less: so
long do small files wait for a large one, and so long does the last lane work alone. At 500 MB/s a slice costs 1 % of its time."""


CRUMB_BYTES = 1_024
"""Fewer bytes than that come only where little was granted, at the end of something, or from who means ill."""


class Carrier(Protocol):
    """The pump of a lane, as its slices see it."""

    def arrived(self, part: Slice, size_bytes: int) -> None:
        """More bytes of the slice, or its end, wait to be written."""

    def drop(self, part: Slice) -> None:
        """Nothing more of the slice is to be written."""

    def cancel(self, number: int) -> None:
        """Nobody waits for this call any more."""


class Slice:
    """From `begin` to `end` of a file. Bytes go granted -> arrived -> written, and never more than were granted.

    Who asks for it sets `carrier` and `number`.
    """

    __slots__ = ("arrived_bytes", "begin", "carrier", "chunks", "done", "end", "file", "granted_bytes", "number", "written_bytes")
    carrier: Carrier
    number: int
    duty, patience_s = Duty.FETCH, PATIENCE_S

    def __init__(self, file: FileFetch, begin: int, end: int) -> None:
        self.file, self.begin, self.end = file, begin, end
        self.granted_bytes = self.arrived_bytes = self.written_bytes = 0
        self.done: Done | None = None
        self.chunks: list[bytes] = []

    @property
    def size_bytes(self) -> int:
        return self.end - self.begin

    @property
    def with_hash(self) -> bool:
        """The hash of the whole file comes with its end."""
        return self.file.hash_wanted and not self.file.hashed_apart

    @property
    def unwritten_bytes(self) -> int:
        """Reserved, granted to the agent, and not handed to the sink."""
        return self.granted_bytes - self.written_bytes

    @property
    def expecting(self) -> bool:
        return self.arrived_bytes < self.granted_bytes or self.granted_bytes == self.size_bytes

    def payload(self) -> bytes:
        """What the agent is asked, with leave to send what is granted by now."""
        file = self.file
        return fetch_payload(file.request.entry.path, file.expected, self.begin, self.end, self.granted_bytes, self.with_hash)

    def take(self, frame: Frame) -> bool:
        if frame.kind == Kind.DATA:
            self.take_data(frame.payload)
            return False
        if not self.file.over:
            if frame.kind == Kind.PROBLEM:
                self.file.trouble(problem(self.file.request.entry.path, frame, READ_TROUBLES))
            else:
                self._take_end(expect(frame, Kind.DONE))
        return True

    def take_data(self, data: bytes) -> None:
        """The next bytes of it. Raises SourceBroken for more than were granted."""
        self.arrived_bytes += len(data)
        if self.arrived_bytes > self.granted_bytes:
            raise SourceBroken("the source sent more bytes of a file than it was asked for")
        if not self.file.over:
            if data:
                self._keep(data)
            self.carrier.arrived(self, len(data))

    def _keep(self, data: bytes) -> None:
        """Crumbs are joined: as objects of their own, two bytes would take twenty times their size."""
        if len(data) < CRUMB_BYTES and self.chunks and len(self.chunks[-1]) < CRUMB_BYTES:
            self.chunks[-1] += data
        else:
            self.chunks.append(data)

    def _take_end(self, payload: bytes) -> None:
        self.take_done(*parse_done(payload, self.with_hash, self.file.request.entry.stat, self.file.expected))

    def take_done(self, done: Done, rest: bytes = b"") -> None:
        """Its end, with the last bytes. Raises SourceBroken when it is none."""
        stat = self.file.request.entry.stat
        if done.before is not stat and not done.before.same_file(stat):
            raise SourceBroken("the source sent another file than it was asked for")
        self.done = done
        self.take_data(rest)
        if self.arrived_bytes != self.size_bytes:
            raise SourceBroken("the source ended a file before its end")

    def piece(self) -> Piece:
        """What has arrived and is not written yet, for the sink: from here on it counts as written."""
        begin, chunks = self.begin + self.written_bytes, tuple(self.chunks)
        self.chunks = []
        self.written_bytes = self.arrived_bytes
        last = self.done is not None and self.end == self.file.request.entry.stat.size_bytes
        return Piece(self.file.request, begin, chunks, last)

    def drop(self) -> None:
        """Nobody wants the file any more."""
        self.chunks = []
        self.carrier.cancel(self.number)
        self.carrier.drop(self)
        self.file.fetch.refund(self.unwritten_bytes)

    def fail(self, error: SourceError) -> None:
        self.file.fetch.fail(error)


class WholeHash:
    """The call that hashes a file of several slices."""

    expecting, duty = True, Duty.HASH
    carrier: Carrier
    number: int

    def __init__(self, file: FileFetch) -> None:
        self.file = file
        self.patience_s = hash_patience_s(file.request.entry.stat.size_bytes)
        self._parse = hashed(file.request.entry)

    def payload(self) -> bytes:
        """What the agent is asked."""
        entry = self.file.request.entry
        return hash_payload(entry.path, entry.stat)

    def take(self, frame: Frame) -> bool:
        if not self.file.over:
            self.answered(self._parse(frame))
        return True

    def answered(self, answer: Hashed | Problem) -> None:
        """The hash, or why there is none."""
        if self.file.over:
            return
        if isinstance(answer, Problem):
            self.file.trouble(answer)
        else:
            self.file.hashed(answer.after, answer.sha256)

    def drop(self) -> None:
        """Nobody wants the file any more."""
        self.carrier.cancel(self.number)

    def fail(self, error: SourceError) -> None:
        self.file.fetch.fail(error)
