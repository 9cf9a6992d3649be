"""One call of `fetch`, and each of its files. It keeps the books: what was reserved is written or given back, on every way out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence

from forged.model.errors import ForgedError
from forged.model.files import Problem, Stat
from forged.model.transfer import Fetched, Piece, Request, Sink, Staged
from forged.sources.agent.slices import SLICE_BYTES, Slice, WholeHash
from forged.sources.agent.wire import Done, packed_expected

GRANT_BYTES = 262_144
"""Reserved and granted at once at most, for one or for several small files: the agent's own chunk, so that none is cut in two."""


class FileFetch:
    """One file of a fetch. Answered when every slice has ended, the sink has it whole, and the hash is known, if asked for."""

    __slots__ = (
        "_after",
        "_before",
        "_calls",
        "_sha256",
        "_staged",
        "_unended",
        "expected",
        "fetch",
        "hash_wanted",
        "hashed_apart",
        "over",
        "request",
    )

    def __init__(self, fetch: Fetch, request: Request) -> None:
        self.fetch, self.request = fetch, request
        self.expected = packed_expected(request.entry.stat)
        self.hash_wanted = request.hash_at_source and fetch.hashes
        self.hashed_apart = self.hash_wanted and self.wanted_bytes > SLICE_BYTES
        self.over = False
        """Answered, or not wanted any more; what may still arrive is dropped."""
        self._calls: list[Slice | WholeHash] = []
        self._unended = -(-self.wanted_bytes // SLICE_BYTES) or 1
        self._before: Stat | None = None
        self._after: Stat | None = None
        self._sha256: bytes | None = None
        self._staged: Staged | None = None

    @property
    def wanted_bytes(self) -> int:
        return self.request.entry.stat.size_bytes - self.request.offset_bytes

    def slices(self) -> Iterator[Slice]:
        """All of it, in order."""
        begin, end = self.request.offset_bytes, self.request.entry.stat.size_bytes
        for start in range(begin, end, SLICE_BYTES) or (begin,):
            yield Slice(self, start, min(start + SLICE_BYTES, end))

    def asked(self, call: Slice | WholeHash) -> None:
        """This call is on its way; whatever ends the file ends it, too."""
        self._calls.append(call)

    # --- what comes ---------------------------------------------------------------------------------------------------------

    def ended(self, done: Done) -> None:
        """A slice was read to its end, and the sink has it."""
        self._unended -= 1
        self._before = done.before
        self._sha256 = done.sha256 or self._sha256
        self._look(done.after)

    def hashed(self, after: Stat, sha256: bytes) -> None:
        """The agent has hashed the whole file."""
        self._sha256 = sha256
        self._look(after)

    def staged(self, staged: Staged) -> None:
        """The sink has all of it."""
        self._staged = staged
        self._settle()

    def _look(self, after: Stat) -> None:
        """How it looked after some of its bytes were read. Of several looks, one that shows a change counts."""
        if self._after is None or self._after.same_file(self.request.entry.stat):
            self._after = after
        self._settle()

    def _settle(self) -> None:
        hash_due = self._sha256 is None and self.hash_wanted
        if self.over or self._unended or hash_due or self._staged is None or self._before is None or self._after is None:
            return
        self.over = True
        self._calls.clear()
        self.fetch.answer(Fetched(self.request, self._before, self._after, self._sha256, self._staged))

    # --- other ends ---------------------------------------------------------------------------------------------------------

    def trouble(self, trouble: Problem) -> None:
        """It does not come, and this is why."""
        self.cancel()
        self.fetch.answer(trouble)

    def cancel(self) -> None:
        """Gives up, unless it is answered: what was not written is given back, what still comes is dropped."""
        if not self.over:
            self.over = True
            for call in self._calls:
                call.drop()
            self._calls.clear()


class Fetch:
    """One call of `fetch`: several files, one sink. Trouble of the sink ends the fetch, not the lanes it uses.

    `hashes`: the source can hash, and does where it is asked to.
    """

    def __init__(self, batch: Sequence[Request], sink: Sink, hashes: bool = True) -> None:
        self.hashes = hashes
        self.files = [FileFetch(self, request) for request in batch]
        self._by_staging = {request.staging: file for request, file in zip(batch, self.files, strict=True)}
        self.over = False
        self._sink = sink
        self._reserved_bytes = 0
        self._writes = 0
        self._reserving: set[asyncio.Timeout] = set()
        self._answers: deque[Fetched | Problem] = deque()
        self._error: BaseException | None = None
        self._news = asyncio.Event()

    # --- for the lanes ----------------------------------------------------------------------------------------------------

    @property
    def portion_bytes(self) -> int:
        """What to reserve at once; it changes with the limits."""
        return min(GRANT_BYTES, self._sink.portion_bytes)

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

    async def write(self, pieces: Sequence[Piece], size_bytes: int) -> None:
        """Hands pieces of so many bytes to the sink, which gives their reservation back."""
        self._reserved_bytes -= size_bytes
        self._writes += 1
        try:
            for staged in await self._sink.write(pieces):
                self._by_staging[staged.staging].staged(staged)
        except ForgedError as error:
            self.fail(error)
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
