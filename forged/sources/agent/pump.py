"""What keeps one lane full and carries what arrives to the sinks.

The feeder asks for files strictly one after the other: everything of a file is reserved and granted before anything of the next
one. So whatever was reserved can be sent by the agent without a further grant, and lanes that share a sink's bound can slow
each other down but never block each other. The writer joins what arrived and hands it over, many small files in one go, while
reading goes on; grants bound how far.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from forged.model.errors import SourceError, SourceLost
from forged.sources.agent.fetching import Fetch, FileFetch
from forged.sources.agent.lane import Lane, finished
from forged.sources.agent.wire import Kind, fetch_payload

WINDOW_BYTES = 8 << 20
"""Asked for and not yet on disk, per lane. Four lanes fill the 32 MiB of DESIGN section 8; one alone makes 53 MB/s at 150 ms,
three times what a connection with stock TCP buffers carries."""

GRANT_BYTES = 262_144
"""Reserved and granted at once, in one or in several small files: the agent's own chunk, so that no chunk is cut in two."""

GROUP_FILES = 64
"""Small files asked for at once."""

MAX_FILES = 1024
"""Asked for and not answered, per lane: empty files cost no window, but memory. 1,024 of them a round trip are plenty."""

JOIN_BYTES = 1 << 20
"""DESIGN section 8: joining 1 to 4 MiB before writing and hashing took a fifth off the CPU."""

JOIN_WAIT_S = 0.01
"""How long fewer bytes wait for more. Shorter than anyone notices, longer than the gaps between packets."""


class WaitingLine:
    """Files that no lane has taken yet; first come, first served over all fetches."""

    def __init__(self) -> None:
        self._files: deque[FileFetch] = deque()
        self._joined = asyncio.Event()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._files)

    def join(self, files: Iterable[FileFetch]) -> None:
        for file in files:
            self._files.append(file)
            self.size_bytes += file.wanted_bytes
        self._joined.set()

    async def take(self) -> list[FileFetch]:
        """The next file, or the next few small ones of one fetch."""
        while True:
            while self._files:
                group = self._group(self._next())
                if group:
                    return group
            self._joined.clear()
            await self._joined.wait()

    def _next(self) -> FileFetch:
        file = self._files.popleft()
        self.size_bytes -= file.wanted_bytes
        return file

    def _group(self, first: FileFetch) -> list[FileFetch]:
        group, left_bytes = [first], GRANT_BYTES - first.wanted_bytes
        while self._files and len(group) < GROUP_FILES:
            if self._files[0].fetch is not first.fetch or self._files[0].wanted_bytes > left_bytes:
                break
            group.append(self._next())
            left_bytes -= group[-1].wanted_bytes
        return [file for file in group if not file.over]

    def fetches(self) -> set[Fetch]:
        return {file.fetch for file in self._files}


class Pump:
    """Feeder and writer of one lane. A Carrier."""

    def __init__(self, lane: Lane, line: WaitingLine) -> None:
        self._lane, self._line = lane, line
        self._files: set[FileFetch] = set()
        self._inbox: dict[FileFetch, None] = {}
        self._outstanding_bytes = self._flying_bytes = self._buffered_bytes = 0
        self._moved, self._some, self._enough = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._over = False
        self._feeder = asyncio.create_task(self._feed(), name=f"{lane.name} feed")
        self._writer = asyncio.create_task(self._write(), name=f"{lane.name} write")
        for task in (self._feeder, self._writer):
            task.add_done_callback(lambda _: lane.end(SourceLost("the connection was not attended to any more")))

    # --- asking -----------------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        while self._lane.ended is None:
            await self._room()
            files = await self._line.take()
            self._files.update(files)
            try:
                await self._bring(files)
            except SourceError:
                return  # the lane has ended; `end` tells everyone

    async def _bring(self, files: list[FileFetch]) -> None:
        first = {file: min(file.wanted_bytes, GRANT_BYTES) for file in files}
        if await files[0].fetch.reserve(sum(first.values())):
            for file, size_bytes in first.items():
                self._ask(file, size_bytes)
            await self._grant_rest(files[-1])
        else:
            self._files.difference_update(files)

    async def _room(self) -> None:
        while self._outstanding_bytes >= WINDOW_BYTES or len(self._files) >= MAX_FILES:
            self._moved.clear()
            await self._moved.wait()

    def _ask(self, file: FileFetch, size_bytes: int) -> None:
        request = file.request
        entry, offset_bytes = request.entry, request.offset_bytes
        file.carrier = self
        payload = fetch_payload(entry.path, entry.stat, offset_bytes, request.hash_at_source)
        file.number = self._lane.ask(file, Kind.FETCH, payload)
        self._grant(file, size_bytes)

    def _grant(self, file: FileFetch, size_bytes: int) -> None:
        """Lets the agent send what was reserved, unless the file met its end meanwhile."""
        if file.over:
            file.fetch.refund(size_bytes)
        elif size_bytes:
            file.granted_bytes += size_bytes
            self._outstanding_bytes += size_bytes
            self._flying_bytes += size_bytes
            self._lane.grant(file.number, size_bytes)

    async def _grant_rest(self, file: FileFetch) -> None:
        while file.granted_bytes < file.wanted_bytes and not file.over:
            await self._room()
            size_bytes = min(GRANT_BYTES, file.wanted_bytes - file.granted_bytes)
            if not await file.fetch.reserve(size_bytes):
                return
            self._grant(file, size_bytes)

    # --- carrying ---------------------------------------------------------------------------------------------------------

    def arrived(self, file: FileFetch, size_bytes: int) -> None:
        self._flying_bytes -= size_bytes
        self._buffered_bytes += size_bytes
        self._inbox[file] = None
        self._some.set()
        if self._buffered_bytes >= JOIN_BYTES or not self._flying_bytes:
            self._enough.set()

    def drop(self, file: FileFetch) -> None:
        self._files.discard(file)
        self._inbox.pop(file, None)
        self._flying_bytes -= file.granted_bytes - file.arrived_bytes
        self._buffered_bytes -= file.arrived_bytes - file.written_bytes
        self._outstanding_bytes -= file.unwritten_bytes
        self._moved.set()

    def cancel(self, file: FileFetch) -> None:
        self._lane.cancel([file.number])

    async def _write(self) -> None:
        while not self._over:
            await self._some.wait()
            if not self._enough.is_set():
                await self._linger()
            self._some.clear()
            self._enough.clear()
            for fetch in dict.fromkeys(file.fetch for file in self._inbox):
                await self._deliver(fetch)

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(JOIN_WAIT_S):
                await self._enough.wait()
        except TimeoutError:
            pass

    async def _deliver(self, fetch: Fetch) -> None:
        """One write for all that has arrived for a fetch; a file whose last piece is in it is answered."""
        files = [file for file in self._inbox if file.fetch is fetch]
        for file in files:
            del self._inbox[file]
        pieces = [file.piece() for file in files]
        size_bytes = sum(piece.size_bytes for piece in pieces)
        self._buffered_bytes -= size_bytes
        staged = await fetch.write(pieces)
        self._outstanding_bytes -= size_bytes
        self._moved.set()
        ended = [file for file, piece in zip(files, pieces, strict=True) if piece.last]
        for file, whole in zip(ended, staged, strict=bool(staged)):
            self._files.discard(file)
            file.staged(whole)

    # --- the end ----------------------------------------------------------------------------------------------------------

    def end(self, error: SourceError) -> None:
        """The lane has ended: every file that it did not bring to its end fails its fetch."""
        self._over = True
        self._feeder.cancel()
        for file in self._files:
            file.fail(error)
        self._some.set()
        self._enough.set()

    async def close(self) -> None:
        """Waits for a write in progress. A mistake of ours in one of the tasks is raised here."""
        await finished([self._feeder, self._writer])
