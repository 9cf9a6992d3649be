"""What keeps one lane full and carries what arrives to the sinks.

The feeder asks for slices strictly one after the other: everything of a slice is reserved and granted before anything of the next
one. So whatever was reserved can be sent by the agent without a further grant, and lanes that share a sink's bound can slow
each other down but never block each other. The writer joins what arrived and hands it over, many small files in one go, while
reading goes on; grants bound how far.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

from forged.model.errors import SourceError, SourceLost
from forged.sources.agent.attended import OnEnd, finished
from forged.sources.agent.fetching import Fetch, FileFetch
from forged.sources.agent.slices import Slice, WholeHash
from forged.sources.agent.waiting import FILE_BYTES, WaitingLine
from forged.sources.agent.window import Window

JOIN_BYTES = 1 << 20
"""DESIGN section 8: joining 1 to 4 MiB before writing and hashing took a fifth off the CPU."""

JOIN_FILES = 512
"""So many small ones are handed over at once, whatever their size; more would only cost memory."""

JOIN_WAIT_S = 0.01
"""How long fewer bytes wait for more. Shorter than anyone notices, longer than the gaps between packets."""


class FileLane(Protocol):
    """A lane as its pump sees it: an agent's, or an SFTP server's. It keeps to what is granted, and answers a slice by its methods.

    Asking raises what has ended the lane (SourceError).
    """

    name: str
    ended: SourceError | None
    on_end: OnEnd

    @property
    def round_trips(self) -> int:
        """How many there are from asking for a small file to its last byte."""

    def fetch(self, part: Slice) -> int:
        """Asks for a slice, as far as it is granted; answers the call's number."""

    def hash(self, call: WholeHash) -> int:
        """Asks for the hash of a whole file, where the source has one; answers the call's number."""

    def grant(self, number: int, amount: int) -> None:
        """Lets a slice have that many bytes more."""

    def cancel(self, numbers: Iterable[int]) -> None:
        """Nobody waits for these any more."""

    def end(self, error: SourceError) -> None: ...
    async def close(self) -> None: ...


class Pump:
    """Feeder and writer of one lane. A Carrier."""

    def __init__(self, lane: FileLane, line: WaitingLine) -> None:
        self.work_bytes = 0
        """How much it has carried, as `waiting` counts it."""
        self._lane, self._line = lane, line
        self._parts: set[Slice] = set()
        self._inbox: dict[Slice, None] = {}
        self._outstanding_bytes = self._buffered_bytes = 0
        self._flying_bytes = self._flying_ends = 0  # what the agent may send without another grant
        self._moved, self._some, self._enough = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._held_back_s, self._waiting_since_s = 0.0, 0.0
        self._window = Window()
        self._works, self._rtt_s, self._lanes = False, 0.0, 1
        self._over = False
        self._feeder = asyncio.create_task(self._feed(), name=f"{lane.name} feed")
        self._writer = asyncio.create_task(self._write(), name=f"{lane.name} write")
        for task in (self._feeder, self._writer):
            task.add_done_callback(lambda _: lane.end(SourceLost("the connection was not attended to any more")))

    @property
    def held_back_s(self) -> float:
        """How long it has waited for leave of a sink."""
        return self._held_back_s + (time.monotonic() - self._waiting_since_s if self._waiting_since_s else 0.0)

    # --- asking -----------------------------------------------------------------------------------------------------------

    def assign(self, works: bool, rtt_s: float, lanes: int) -> None:
        """Whether it is to take what waits (if not, it only ends what it has taken), and as one of how many."""
        self._works, self._rtt_s, self._lanes = works, rtt_s * self._lane.round_trips, lanes
        self._moved.set()

    def look(self) -> None:
        """Something waits."""
        self._moved.set()

    @property
    def _has_room(self) -> bool:
        return self._outstanding_bytes + FILE_BYTES * len(self._parts) < self._window.bytes

    async def _feed(self) -> None:
        while self._lane.ended is None:
            parts = self._line.take() if self._works and self._has_room else []
            if not parts:
                await self._move()
                continue
            try:
                await self._bring(parts)
            except SourceError:
                return  # the lane has ended; every fetch is told

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _bring(self, parts: list[Slice]) -> None:
        fetch = parts[0].file.fetch
        grants = [min(part.size_bytes, fetch.portion_bytes) for part in parts]
        if await self._reserve(fetch, sum(grants)):
            for part, size_bytes in zip(parts, grants, strict=True):
                self._ask(part, size_bytes)
            await self._grant_rest(parts[-1])

    async def _reserve(self, fetch: Fetch, size_bytes: int) -> bool:
        began_s = self._waiting_since_s = time.monotonic()
        wanted = await fetch.reserve(size_bytes)
        self._held_back_s += time.monotonic() - began_s
        self._waiting_since_s = 0.0
        return wanted

    def _ask(self, part: Slice, size_bytes: int) -> None:
        """Asks for a slice, with leave to send that much of it: what was reserved, unless its file met its end meanwhile."""
        file = part.file
        if file.over:
            file.fetch.refund(size_bytes)
            return
        part.carrier = self
        part.granted_bytes = size_bytes
        part.number = self._lane.fetch(part)
        file.asked(part)
        self._parts.add(part)
        self._expect(part, size_bytes)
        if file.hashed_apart and part.begin == file.request.offset_bytes:
            self._ask_hash(file)

    def _ask_hash(self, file: FileFetch) -> None:
        call = WholeHash(file)
        call.carrier = self
        call.number = self._lane.hash(call)
        file.asked(call)

    async def _grant_rest(self, part: Slice) -> None:
        while part.granted_bytes < part.size_bytes and not part.file.over:
            while not self._has_room:
                await self._move()
            fetch = part.file.fetch
            size_bytes = min(fetch.portion_bytes, part.size_bytes - part.granted_bytes)
            if not await self._reserve(fetch, size_bytes):
                return
            self._grant(part, size_bytes)

    def _grant(self, part: Slice, size_bytes: int) -> None:
        if part.file.over:
            part.file.fetch.refund(size_bytes)
        else:
            part.granted_bytes += size_bytes
            self._lane.grant(part.number, size_bytes)
            self._expect(part, size_bytes)

    def _expect(self, part: Slice, size_bytes: int) -> None:
        self._outstanding_bytes += size_bytes
        self._flying_bytes += size_bytes
        self._flying_ends += part.granted_bytes == part.size_bytes

    # --- carrying ---------------------------------------------------------------------------------------------------------

    def arrived(self, part: Slice, size_bytes: int) -> None:
        self._flying_bytes -= size_bytes
        self._buffered_bytes += size_bytes
        self.work_bytes += size_bytes
        if part.done is not None:
            self._flying_ends -= 1
            self.work_bytes += FILE_BYTES
        self._inbox[part] = None
        self._some.set()
        if self._buffered_bytes >= JOIN_BYTES or len(self._inbox) >= JOIN_FILES or not (self._flying_bytes or self._flying_ends):
            self._enough.set()

    def drop(self, part: Slice) -> None:
        self._parts.discard(part)
        self._inbox.pop(part, None)
        self._flying_bytes -= part.granted_bytes - part.arrived_bytes
        self._flying_ends -= part.granted_bytes == part.size_bytes and part.done is None
        self._buffered_bytes -= part.arrived_bytes - part.written_bytes
        self._outstanding_bytes -= part.unwritten_bytes
        self._moved.set()

    def cancel(self, number: int) -> None:
        self._lane.cancel([number])

    async def _write(self) -> None:
        while not self._over:
            await self._some.wait()
            if not self._enough.is_set():
                await self._linger()
            self._some.clear()
            self._enough.clear()
            for fetch in dict.fromkeys([part.file.fetch for part in self._inbox]):
                await self._deliver(fetch)

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(JOIN_WAIT_S):
                await self._enough.wait()
        except TimeoutError:
            pass

    async def _deliver(self, fetch: Fetch) -> None:
        """One write for all that has arrived for a fetch."""
        parts = [part for part in self._inbox if part.file.fetch is fetch]
        ended = [part for part in parts if part.done is not None]
        size_bytes = sum([part.arrived_bytes - part.written_bytes for part in parts])
        for part in parts:
            del self._inbox[part]
        self._buffered_bytes -= size_bytes
        pieces = [piece for part in parts if (piece := part.piece()).data or piece.last]
        if pieces:
            await fetch.write(pieces, size_bytes)
        self._outstanding_bytes -= size_bytes
        self._parts.difference_update(ended)
        self._window.arrived(size_bytes + FILE_BYTES * len(ended), time.monotonic(), self._rtt_s, self._lanes)
        self._moved.set()
        for part in ended:
            if part.done is not None:
                part.file.ended(part.done)

    # --- the end ----------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """The lane has ended; every fetch is told by somebody else."""
        self._over = True
        self._feeder.cancel()
        self._some.set()
        self._enough.set()

    async def close(self) -> None:
        """Waits for a write in progress. A mistake of ours in one of the tasks is raised here."""
        await finished([self._feeder, self._writer])
