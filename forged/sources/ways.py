"""A source that is reached in the best way its box allows: some bodies in order, of which the first that can be had is taken.

A body says by Lacking that the box has not what it takes; only that leads to the next one, never a line that breaks or a box that
is busy. What was found is remembered, so that a new connection begins there; after a while the better ways are tried again
when a listing begins, so that a python3 installed meanwhile is noticed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from forged.model.errors import Lacking, NotSupported, SourceError, SourceLost
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.paths import SourcePath
from forged.model.removal import Removable, Removed
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent.wire import Space
from forged.sources.base import Capabilities, Hashed, Notices, Source

ASK_AGAIN_S = 600.0
"""How long it is believed that a better way is not there. Asking costs a connection; who has installed python3 waits that long."""


REMEDY = "install python3 (3.6 or newer) on the box: forged notices it within some minutes, and its agent can do all of it"


@runtime_checkable
class Roomy(Protocol):
    """A body that knows how full the disk is."""

    async def space(self) -> Space: ...


Way = Callable[[], Source]
"""Makes one body, still closed. Opening it raises Lacking where the box has not what it takes."""


class Memory:
    """What is known of the ways to one box. Lives as long as its target; a connection only borrows it."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lacking: list[str] = []
        self._asked_s = 0.0

    @property
    def lacking(self) -> Sequence[str]:
        """Why the better ways are not taken: one word for each of them; their number is that of the way to take."""
        return self._lacking

    @property
    def is_old(self) -> bool:
        """It is time to try the better ways again."""
        return bool(self._lacking) and self._monotonic_s() - self._asked_s >= ASK_AGAIN_S

    def found(self, lacking: Sequence[str]) -> None:
        """The box was asked, and so it is now."""
        self._lacking, self._asked_s = list(lacking), self._monotonic_s()

    def later(self) -> None:
        """It could not be asked: again after a while."""
        self._asked_s = self._monotonic_s()


class BestWay:
    """A Source. `ways`: the best first."""

    def __init__(self, ways: Sequence[Way], memory: Memory) -> None:
        self._ways, self._memory = ways, memory
        self._body: Source | None = None
        self._number = 0

    @property
    def _here(self) -> Source:
        if self._body is None:
            raise SourceLost("the source is not open")
        return self._body

    @property
    def capabilities(self) -> Capabilities:
        can = self._here.capabilities
        lacking = self._memory.lacking[: self._number]
        words = f"{can.transport} ({' and '.join(lacking)} on the box)"
        return replace(can, transport=words, remedy=REMEDY) if lacking else can

    async def __aenter__(self) -> Self:
        """Raises what the body raises that is taken; NotSupported where there is none."""
        known = [] if self._memory.is_old else list(self._memory.lacking)
        self._body, self._number = await self._first(known)
        return self

    async def _first(self, lacking: list[str]) -> tuple[Source, int]:
        """The first body that can be had, opened, but for those that are known to be lacking."""
        began, last = len(lacking), None
        for way in self._ways[began:]:
            body = way()
            try:
                await body.__aenter__()
            except Lacking as error:
                lacking.append(error.lacks)
                last = error
            else:
                if len(lacking) > began or not began:
                    self._memory.found(lacking)
                return body, len(lacking)
        self._memory.found(())
        raise NotSupported(f"there is no way to read this box: {' and '.join(lacking)}", hint=last.hint if last else "") from last

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        body, self._body = self._body, None
        if body is not None:
            await body.__aexit__(kind, error, trace)

    # --- the calls --------------------------------------------------------------------------------------------------------

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        """Raises SourceLost before anything is listed when a better way has been found: the next connection takes it."""
        if self._number and self._memory.is_old and await self._is_there_a_better():
            raise SourceLost("the box can be reached in a better way now", hint="forged reconnects by itself")
        async with aclosing(self._here.list(folders, known)) as parts:
            async for part in parts:
                yield part

    async def _is_there_a_better(self) -> bool:
        self._memory.later()
        for number, way in enumerate(self._ways[: self._number]):
            body = way()
            try:
                await body.__aenter__()
            except SourceError:
                continue  # whatever it was, what we have works
            await body.__aexit__(None, None, None)
            self._memory.found(self._memory.lacking[:number])
            return True
        return False

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        async with aclosing(self._here.fetch(batch, sink)) as answers:
            async for answer in answers:
                yield answer

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        async with aclosing(self._here.hash(entries)) as answers:
            async for answer in answers:
                yield answer

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        return await self._here.look(paths)

    async def clock_ns(self) -> int:
        return await self._here.clock_ns()

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        async with aclosing(self._here.watch(folders)) as answers:
            async for notices in answers:
                yield notices

    async def space(self) -> Space:
        """Free and total bytes of the disk that holds the root. Raises NotSupported where the body cannot say."""
        if isinstance(self._here, Roomy):
            return await self._here.space()
        raise NotSupported("how full its disk is, only an agent tells")

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self._here.remove(batch)

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self._here.remove_unguarded(batch)

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        return await self._here.remove_empty_folders(folders)
