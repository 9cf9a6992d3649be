"""Listings as the client sees them: which folders to ask for, and blocks turned into strictly checked parts."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Sequence

from forged.model.errors import BadPath, SourceBroken, SourceError
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind
from forged.model.paths import MAX_PATH_BYTES, SourcePath, source_path
from forged.sources.agent.calls import refused
from forged.sources.agent.wire import TROUBLES, Frame, Kind, expect, parse_list_end, parse_message, parse_stat

WINDOW_BLOCKS = 8
"""Blocks that the agent may be ahead of whoever reads the listing: about 8,000 entries, some MiB of Python objects."""

MAX_BLOCK_BYTES = 131_072
"""Of an inflated block: the agent closes one at 64 KiB and may overshoot by one record. Holds at most 3,449 entries."""

_RECORD = struct.Struct(">BHH")
_ENTRY = 0xFF
_STAT_BYTES = 32
_MAX_PROBLEM_PATH_BYTES = MAX_PATH_BYTES + 1024 + 1
"""A path that is too long is told, too: an allowed folder with one name, and no file system has longer names than 1,020 bytes."""


def outermost(folders: Sequence[SourcePath]) -> tuple[SourcePath, ...]:
    """The folders without those inside another one, in the order in which the paths below them ascend."""
    kept: list[SourcePath] = []
    for folder in sorted(set(folders), key=lambda folder: folder + b"/"):
        if not kept or not folder.startswith(kept[-1] + b"/"):
            kept.append(folder)
    return tuple(kept)


def inflated(block: bytes) -> bytes:
    """The block as it was before compression. Raises SourceBroken for anything but one whole, bounded zlib stream."""
    inflater = zlib.decompressobj()
    try:
        records = inflater.decompress(block, MAX_BLOCK_BYTES)
    except zlib.error as error:
        raise SourceBroken("the agent sent a listing that cannot be decompressed") from error
    if not inflater.eof or inflater.unused_data:
        raise SourceBroken("the agent sent a listing block that is cut short or too large")
    return records


class ListingReader:
    """Checks one listing while it streams: every path usable, below what was asked for, and strictly ascending.

    `part` takes a compressed block; it raises SourceBroken for whatever an honest agent does not send.
    """

    def __init__(self, folders: Sequence[SourcePath]) -> None:
        self._prefixes = tuple(folder + b"/" for folder in folders) or (b"",)
        self._last: bytes = b""
        self.entries = 0

    def part(self, block: bytes) -> ListingPart:
        records = inflated(block)
        entries: list[Entry] = []
        problems: list[Problem] = []
        at = 0
        path = b""
        while at < len(records):
            kind, first, second, at = self._record(records, at)
            if kind == _ENTRY:
                end = at + second
                path = self._path(path, first, records[at:end])
                entries.append(Entry(SourcePath(path), parse_stat(records[end : end + _STAT_BYTES])))
                at = end + _STAT_BYTES
            else:
                end = at + first + second
                problems.append(self._problem(kind, records[at : at + first], records[at + first : end]))
                at = end
        if at != len(records):
            raise SourceBroken("the agent sent a listing block that is cut short")
        self.entries += len(entries)
        return ListingPart(tuple(entries), tuple(problems))

    def _record(self, records: bytes, at: int) -> tuple[int, int, int, int]:
        if len(records) - at < _RECORD.size:
            raise SourceBroken("the agent sent a listing block that is cut short")
        kind, first, second = _RECORD.unpack_from(records, at)
        return kind, first, second, at + _RECORD.size

    def _path(self, before: bytes, shared: int, own: bytes) -> bytes:
        if shared > len(before):
            raise SourceBroken("the agent sent a path that continues one it did not send")
        try:
            path = source_path(before[:shared] + own)
        except BadPath as error:
            raise SourceBroken("the agent sent a path that leads out of the tree or cannot exist") from error
        if path <= self._last:
            raise SourceBroken("the agent sent a listing out of order")
        if not path.startswith(self._prefixes):
            raise SourceBroken("the agent listed a folder that was not asked for")
        self._last = path
        return path

    def _problem(self, kind: int, path: bytes, message: bytes) -> Problem:
        known = TROUBLES[kind] if kind < len(TROUBLES) else None
        if known is None or known is ProblemKind.CHANGED:
            raise SourceBroken("the agent sent a problem of unknown kind")
        if len(path) > _MAX_PROBLEM_PATH_BYTES or b"\0" in path:
            raise SourceBroken("the agent sent a problem with an impossible path")
        return Problem(path, known, parse_message(message))


class ListingCall:
    """One listing on its way: a call to the agent that sends a block for each block granted."""

    def __init__(self, folders: Sequence[SourcePath], root: bytes) -> None:
        self._reader, self._root = ListingReader(folders), root
        self._granted = 0
        self._closed = False
        self._parts: asyncio.Queue[ListingPart | ListingEnd | SourceError] = asyncio.Queue()

    @property
    def expecting(self) -> bool:
        return self._granted > 0

    def granted(self, blocks: int) -> None:
        """The agent was told that it may send that many more."""
        self._granted += blocks

    def take(self, frame: Frame) -> bool:
        if frame.kind == Kind.LISTED:
            self._take_block(frame.payload)
            return False
        if not self._closed:
            self._parts.put_nowait(refused(frame, self._root) if frame.kind == Kind.REFUSED else self._end(frame))
        return True

    def _take_block(self, block: bytes) -> None:
        self._granted -= 1
        if self._granted < 0:
            raise SourceBroken("the agent sent more of a listing than it was asked for")
        if not self._closed:
            self._parts.put_nowait(self._reader.part(block))

    def _end(self, frame: Frame) -> ListingEnd:
        entries, clock_ns = parse_list_end(expect(frame, Kind.LIST_END))
        if entries != self._reader.entries:
            raise SourceBroken("the agent counted another number of files than it listed")
        return ListingEnd(entries, clock_ns)

    def fail(self, error: SourceError) -> None:
        self._parts.put_nowait(error)

    async def next(self) -> ListingPart | ListingEnd:
        """The next part, or the end. Raises what cut the listing off."""
        part = await self._parts.get()
        if isinstance(part, SourceError):
            raise part
        return part

    def close(self) -> None:
        """Nobody reads on; what still comes is dropped."""
        self._closed = True
