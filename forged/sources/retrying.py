"""A coat around a source that connects again when the line breaks, and asks again only for what was not answered.

What must not be retried is not: a listing that broke after its first part is ignorance and goes up as such (promise 4), a
removal whose answer was lost is never repeated (the next cleanup looks at the file anew), a watch that broke has missed
something and says so, and errors that time does not heal pass at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from msgspec.structs import replace

from forged.kit.backoff import backoff
from forged.kit.clock import Clock, SystemClock
from forged.model.errors import SourceBroken, SourceError, SourceLost, SourceUnreachable
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.observer import Nobody, Observer, Retried
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import Removable, Removed
from forged.model.transfer import Fetched, Request, Sink
from forged.rules import resume
from forged.sources.base import Capabilities, Hashed, Notices, Source

LONGEST_WAIT_S = 60.0
"""Within one call nobody is helped by longer waits: the round ends and the timetable comes again."""

ResumePoints = Callable[[Sequence[str]], Awaitable[Sequence[int]]]
"""`Destination.resume_points`: how many bytes of each staging name are staged by now."""

CONNECTION_ENDED = (SourceUnreachable, SourceLost, SourceBroken)
"""After these a connection is of no use to anybody; after others (a missing root, an unsupported call) it still is."""

T = TypeVar("T")


async def _nothing_staged(stagings: Sequence[str]) -> Sequence[int]:
    return [0] * len(stagings)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts`: how often in a row to try again without any progress. `delay_s`: the bound of the first wait; it doubles.

    `patient_opening` False: opening is tried once only, for somebody who has a patience of his own.
    """

    attempts: int = 3
    delay_s: float = 5.0
    longest_s: float = LONGEST_WAIT_S
    patient_opening: bool = True
    chance: Callable[[], float] = random.random


class _Patience:
    """How much of it is left: each failure costs an attempt and a wait; progress restores all."""

    def __init__(self, policy: RetryPolicy, clock: Clock, observer: Observer, target: str) -> None:
        self._policy = policy
        self._clock = clock
        self._observer = observer
        self._target = target
        self.restore()

    def restore(self) -> None:
        self._attempt = 0
        self._waits: Iterator[float] = backoff(self._policy.delay_s, self._policy.longest_s, self._policy.chance)

    async def spend(self, error: SourceError) -> None:
        """Waits before the next try. Raises `error` when it cannot heal or the attempts are used up."""
        if not error.transient or self._attempt >= self._policy.attempts:
            raise error
        self._attempt += 1
        wait_s = next(self._waits)
        self._observer.notice(Retried(self._target, error, self._attempt, wait_s))
        await self._clock.sleep(wait_s)


class Retrying:
    """A source that survives broken lines. `make` answers a fresh, closed source; it is called once for every connection.

    `resume_points` (the destination's) is asked before unanswered requests are fetched again: part of them may be staged by then.
    """

    def __init__(
        self,
        make: Callable[[], Source],
        policy: RetryPolicy | None = None,
        *,
        target: str = "",
        clock: Clock | None = None,
        observer: Observer | None = None,
        resume_points: ResumePoints = _nothing_staged,
    ) -> None:
        self._make = make
        self._policy = policy or RetryPolicy()
        self._target = target
        self._clock = clock or SystemClock()
        self._observer = observer or Nobody()
        self._resume_points = resume_points
        self._inner: Source | None = None
        self._known: Capabilities | None = None
        self._changing = asyncio.Lock()
        self._open = False

    @property
    def capabilities(self) -> Capabilities:
        """Of the connection; while it is broken, of the last one: what a box can do does not change with the line."""
        if self._known is None:
            raise SourceLost("the source is not connected")
        return self._known

    async def __aenter__(self) -> Self:
        self._open = True
        await (self._persist(_itself) if self._policy.patient_opening else self._connected())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open = False
        async with self._changing:
            await self._drop()

    # --- the connection ---------------------------------------------------------------------------------------------------

    def _patience(self) -> _Patience:
        return _Patience(self._policy, self._clock, self._observer, self._target)

    async def _connected(self) -> Source:
        """The open source that all calls share; opens one if there is none."""
        async with self._changing:
            if not self._open:
                raise SourceLost("the source was closed")
            if self._inner is None:
                fresh = self._make()
                await fresh.__aenter__()
                self._inner, self._known = fresh, fresh.capabilities
            return self._inner

    async def _discard(self, failed: Source | None, error: SourceError) -> None:
        """Closes a source whose connection ended, unless another call has done so already. Other errors leave it to the others."""
        async with self._changing:
            if failed is not None and self._inner is failed and isinstance(error, CONNECTION_ENDED):
                await self._drop()

    async def _drop(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.__aexit__(None, None, None)

    async def _persist(self, ask: Callable[[Source], Awaitable[T]]) -> T:
        patience = self._patience()
        while True:
            source = None
            try:
                source = await self._connected()
                return await ask(source)
            except SourceError as error:
                await self._discard(source, error)
                await patience.spend(error)

    # --- the calls --------------------------------------------------------------------------------------------------------

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        patience, began = self._patience(), False
        while True:
            source = None
            try:
                source = await self._connected()
                async with aclosing(source.list(folders, known)) as parts:
                    async for part in parts:
                        began = True
                        yield part
                return
            except SourceError as error:
                await self._discard(source, error)
                if began:
                    raise
                await patience.spend(error)

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        patience, left = self._patience(), {request.entry.path: request for request in batch}
        while left:
            source = None
            try:
                source = await self._connected()
                async with aclosing(source.fetch(tuple(left.values()), sink)) as answers:
                    async for answer in answers:
                        patience.restore()
                        left.pop(SourcePath(answer.path) if isinstance(answer, Problem) else answer.request.entry.path)
                        yield answer
                return
            except SourceError as error:
                await self._discard(source, error)
                await patience.spend(error)
            left = await self._refreshed(left, patience)

    async def _refreshed(self, left: dict[SourcePath, Request], patience: _Patience) -> dict[SourcePath, Request]:
        """The same requests, from where their bytes end now. Bytes that moved are progress.

        A whole that was resumed is proven by the source's hash, also where nobody asked for that when it began (promise 5).
        """
        offsets = await self._resume_points([request.staging for request in left.values()])
        if any(offset > request.offset_bytes for offset, request in zip(offsets, left.values(), strict=True)):
            patience.restore()
        hashing = self.capabilities.hashing
        return {path: _resumed(request, offset, hashing) for (path, request), offset in zip(left.items(), offsets, strict=True)}

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        patience, left = self._patience(), {entry.path: entry for entry in entries}
        while left:
            source = None
            try:
                source = await self._connected()
                async with aclosing(source.hash(tuple(left.values()))) as answers:
                    async for answer in answers:
                        patience.restore()
                        del left[SourcePath(answer.path) if isinstance(answer, Problem) else answer.entry.path]
                        yield answer
                return
            except SourceError as error:
                await self._discard(source, error)
                await patience.spend(error)

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        return await self._persist(lambda source: source.look(paths))

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        return await self._persist(lambda source: source.resolve(folders))

    async def clock_ns(self) -> int:
        return await self._persist(lambda source: source.clock_ns())

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        source = await self._persist(_itself)
        try:
            async with aclosing(source.watch(folders)) as answers:
                async for notices in answers:
                    yield notices
        except SourceError as error:
            await self._discard(source, error)
            raise

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self._once(lambda source: source.remove(batch))

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self._once(lambda source: source.remove_unguarded(batch))

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        return await self._once(lambda source: source.remove_empty_folders(folders))

    async def _once(self, ask: Callable[[Source], Awaitable[T]]) -> T:
        """Connects as patiently as ever, but asks only once."""
        source = await self._persist(_itself)
        try:
            return await ask(source)
        except SourceError as error:
            await self._discard(source, error)
            raise


def _resumed(request: Request, staged_bytes: int, hashing: bool) -> Request:
    offset = resume.offset_bytes(request.entry, staged_bytes)
    return replace(request, offset_bytes=offset, hash_at_source=request.hash_at_source or (hashing and offset > 0))


async def _itself(source: Source) -> Source:
    return source
