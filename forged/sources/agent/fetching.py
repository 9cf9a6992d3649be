"""One call of `fetch`, and each of its files. It keeps the books: what was reserved is written or given back, on every way out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from forged.model.errors import ForgedError, SourceBroken, SourceError
from forged.model.files import Problem
from forged.model.transfer import Fetched, Piece, Request, Sink, Staged
from forged.sources.agent.calls import READ_TROUBLES, problem
from forged.sources.agent.wire import Done, Frame, Kind, expect, parse_done


class Carrier(Protocol):
    """The pump of a lane, as its files see it."""

    def arrived(self, file: FileFetch, size_bytes: int) -> None:
        """More bytes of the file, or its end, wait to be written."""

    def drop(self, file: FileFetch) -> None:
        """Nothing more of the file is to be written."""

    def cancel(self, file: FileFetch) -> None:
        """Nothing more of the file is to be sent."""


class FileFetch:
    """One file on its way: a call to the agent. Bytes go granted -> arrived -> written, and never more than were granted."""

    def __init__(self, fetch: Fetch, request: Request) -> None:
        self.fetch, self.request = fetch, request
        self.wanted_bytes = request.entry.stat.size_bytes - request.offset_bytes
        self.granted_bytes = self.arrived_bytes = self.written_bytes = 0
        self.done: Done | None = None
        self.over = False
        """Answered, or not wanted any more; what may still arrive is dropped."""
        self.carrier: Carrier | None = None
        self.number = 0
        self._chunks: list[bytes] = []

    @property
    def expecting(self) -> bool:
        return self.arrived_bytes < self.granted_bytes or self.granted_bytes == self.wanted_bytes

    @property
    def unwritten_bytes(self) -> int:
        """Reserved for this file, granted to the agent, and not handed to the sink."""
        return self.granted_bytes - self.written_bytes

    def take(self, frame: Frame) -> bool:
        if frame.kind == Kind.DATA:
            self._take_data(frame.payload)
            return False
        if not self.over:
            if frame.kind == Kind.PROBLEM:
                self._end(problem(self.request.entry.path, frame, READ_TROUBLES))
            else:
                self._take_done(expect(frame, Kind.DONE))
        return True

    def _take_data(self, data: bytes) -> None:
        self.arrived_bytes += len(data)
        if self.arrived_bytes > self.granted_bytes:
            raise SourceBroken("the agent sent more bytes of a file than it was asked for")
        if not self.over and self.carrier is not None:
            self._chunks.append(data)
            self.carrier.arrived(self, len(data))

    def _take_done(self, payload: bytes) -> None:
        done = parse_done(payload)
        if self.arrived_bytes != self.wanted_bytes:
            raise SourceBroken("the agent ended a file before its end")
        if not done.before.same_file(self.request.entry.stat) or (done.sha256 is not None) != self.request.hash_at_source:
            raise SourceBroken("the agent sent another file than it was asked for")
        self.done = done
        if self.carrier is not None:
            self.carrier.arrived(self, 0)

    def _end(self, trouble: Problem) -> None:
        self._drop()
        self.fetch.answer(trouble)

    def cancel(self) -> None:
        """Gives up, unless it is answered: what was not written is given back, what still comes is dropped."""
        if not self.over:
            if self.carrier is not None:
                self.carrier.cancel(self)
            self._drop()

    def _drop(self) -> None:
        self.over = True
        if self.carrier is not None:
            self.carrier.drop(self)
        self.fetch.refund(self.unwritten_bytes)
        self._chunks = []

    def fail(self, error: SourceError) -> None:
        self.fetch.fail(error)

    def piece(self) -> Piece:
        """What has arrived and is not written yet, for the sink: from here on it counts as written."""
        offset_bytes = self.request.offset_bytes + self.written_bytes
        chunks, self._chunks = tuple(self._chunks), []
        self.written_bytes = self.arrived_bytes
        return Piece(self.request, offset_bytes, chunks, last=self.done is not None)

    def staged(self, staged: Staged) -> None:
        """The sink has all of it."""
        if not self.over and self.done is not None:
            self.over = True
            self.fetch.answer(Fetched(self.request, self.done.before, self.done.after, self.done.sha256, staged))


class Fetch:
    """One call of `fetch`: several files, one sink. Trouble of the sink ends the fetch, not the lanes it uses."""

    def __init__(self, batch: Sequence[Request], sink: Sink) -> None:
        self.files = [FileFetch(self, request) for request in batch]
        self.over = False
        self._sink = sink
        self._reserved_bytes = 0
        self._writes = 0
        self._reserving: set[asyncio.Timeout] = set()
        self._answers: deque[Fetched | Problem] = deque()
        self._error: BaseException | None = None
        self._news = asyncio.Event()

    # --- for the lanes ----------------------------------------------------------------------------------------------------

    async def reserve(self, size_bytes: int) -> bool:
        """Waits until that many more bytes may be asked for; False when nobody wants them any more."""
        if self.over or size_bytes == 0:
            return not self.over
        wait = asyncio.timeout(None)  # `close` ends it
        try:
            async with wait:
                self._reserving.add(wait)
                await self._sink.reserve(size_bytes)
        except ForgedError as error:
            self.fail(error)
            return False
        except TimeoutError:
            return False
        finally:
            self._reserving.discard(wait)
        return self._enter(size_bytes)

    def _enter(self, size_bytes: int) -> bool:
        """Into the books; at once out again when the fetch ended while it waited."""
        self._reserved_bytes += size_bytes
        if self.over:
            self.refund(size_bytes)
        return not self.over

    def refund(self, size_bytes: int) -> None:
        """These bytes will not come."""
        if size_bytes:
            self._reserved_bytes -= size_bytes
            self._sink.refund(size_bytes)

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        """Hands pieces to the sink, which gives their reservation back. Nothing is staged when it failed."""
        self._reserved_bytes -= sum(piece.size_bytes for piece in pieces)
        self._writes += 1
        try:
            return await self._sink.write(pieces)
        except ForgedError as error:
            self.fail(error)
            return ()
        finally:
            self._writes -= 1
            self._news.set()

    def answer(self, answer: Fetched | Problem) -> None:
        self._answers.append(answer)
        self._news.set()

    def fail(self, error: BaseException) -> None:
        """Ends the fetch with an error; the first one counts."""
        if self._error is None:
            self._error = error
        self.over = True
        self._news.set()

    # --- for the caller ---------------------------------------------------------------------------------------------------

    async def answers(self) -> AsyncGenerator[Fetched | Problem, None]:
        """One answer for each file. Raises what the lanes or the sink ran into, after the answers that came before."""
        for _ in self.files:
            while not self._answers:
                if self._error is not None:
                    raise self._error
                self._news.clear()
                await self._news.wait()
            yield self._answers.popleft()

    async def close(self) -> None:
        """Drops what is left, waits for a write in progress, and leaves the books even."""
        self.over = True
        for wait in self._reserving:
            wait.reschedule(asyncio.get_running_loop().time())
        for file in self.files:
            file.cancel()
        while self._writes:
            self._news.clear()
            await self._news.wait()
        self.refund(self._reserved_bytes)
