"""One listing as the client sees it: which folders to ask for, and what the agent says turned into parts as they are read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice

from forged.model.errors import SourceBroken, SourceError
from forged.model.files import ListingEnd, ListingPart, SamePart
from forged.model.paths import SourcePath
from forged.sources.agent.blocks import BlockReader, inflated
from forged.sources.agent.calls import refused
from forged.sources.agent.pulse import WALK_PATIENCE_S, Duty
from forged.sources.agent.wire import DIGEST_BYTES, MAX_KNOWN, Frame, Kind, expect, parse_list_end, parse_places

WINDOW_BLOCKS = 128
"""Blocks that the agent may be ahead of whoever reads: what it makes in 150 ms, some 40,000 files. They wait as they came."""

WINDOW_BYTES = 1 << 20
"""Of those blocks, if they go on as large as they have been lately. Of usual names the 128 are as much."""

UNKNOWN_BYTES = 32_768
"""For as large a block is taken before one was seen."""

GRANT_BLOCKS = 16
"""Granted in one go, so that the question costs less than the answer."""


def outermost(folders: Sequence[SourcePath]) -> tuple[SourcePath, ...]:
    """The folders without those inside another one, in the order in which the paths below them ascend."""
    kept: list[SourcePath] = []
    for folder in sorted(set(folders), key=lambda folder: folder + b"/"):
        if not kept or not folder.startswith(kept[-1] + b"/"):
            kept.append(folder)
    return tuple(kept)


def askable(known: Collection[bytes]) -> tuple[bytes, ...]:
    """The digests that can go along with the question."""
    return tuple(islice(dict.fromkeys(digest for digest in known if len(digest) == DIGEST_BYTES), MAX_KNOWN))


class ListingCall:
    """One listing on its way: a call to the agent that sends a block for each block granted, and those known without."""

    duty, patience_s = Duty.LIST, WALK_PATIENCE_S

    def __init__(self, folders: Sequence[SourcePath], known: Sequence[bytes], root: bytes) -> None:
        self._reader, self._root = BlockReader(folders, known), root
        self._granted = 0
        self._unsaid = len(known)
        self._closed = False
        self._said: asyncio.Queue[Frame | SourceError] = asyncio.Queue()
        self._ready: deque[SamePart] = deque()
        self._unread = 0
        self._usual_bytes = UNKNOWN_BYTES

    @property
    def expecting(self) -> bool:
        return self._granted > 0

    def to_grant(self) -> int:
        """How many blocks more the agent may send, as soon as they are worth saying so."""
        window_blocks = min(WINDOW_BLOCKS, max(GRANT_BLOCKS, WINDOW_BYTES // max(self._usual_bytes, 1)))
        amount = window_blocks - self._granted - self._unread
        if amount < min(GRANT_BLOCKS, window_blocks // 2):
            return 0
        self._granted += amount
        return amount

    def take(self, frame: Frame) -> bool:
        if frame.kind == Kind.LISTED:
            self._granted -= 1
            self._unread += 1
            self._usual_bytes = (3 * self._usual_bytes + len(frame.payload)) // 4
        elif frame.kind == Kind.SAME:
            self._unsaid -= len(parse_places(frame.payload))
        if min(self._granted, self._unsaid) < 0:
            raise SourceBroken("the agent sent more of a listing than it was asked for")
        if not self._closed:
            self._said.put_nowait(frame)
        return frame.kind not in (Kind.LISTED, Kind.SAME)

    def fail(self, error: SourceError) -> None:
        self._said.put_nowait(error)

    async def next(self) -> ListingPart | SamePart | ListingEnd:
        """The next part, or the end. Raises what cut the listing off, and SourceBroken for what no honest agent says."""
        while not self._ready:
            said = await self._said.get()
            if isinstance(said, SourceError):
                raise said
            if said.kind == Kind.LISTED:
                self._unread -= 1
                return self._reader.part(inflated(said.payload))
            if said.kind != Kind.SAME:
                return self._end(said)
            self._ready.extend(self._reader.same(said.payload))
        return self._ready.popleft()

    def _end(self, frame: Frame) -> ListingEnd:
        if frame.kind == Kind.REFUSED:
            raise refused(frame, self._root)
        entries, clock_ns = parse_list_end(expect(frame, Kind.LIST_END))
        if entries != self._reader.entries:
            raise SourceBroken("the agent counted another number of files than it listed")
        return ListingEnd(entries, clock_ns)

    def close(self) -> None:
        """Nobody reads on; what still comes is dropped."""
        self._closed = True
