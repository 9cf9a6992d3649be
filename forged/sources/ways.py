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
from typing import Protocol, Self, runtime_checkable

from forged.model.errors import Lacking, NotSupported, SourceError, SourceLost
from forged.model.files import ListingEnd, ListingPart, SamePart
from forged.model.paths import SourcePath
from forged.sources.agent.wire import Space
from forged.sources.base import Capabilities, Source
from forged.sources.coat import Coat

ASK_AGAIN_S = 600.0
"""How long it is believed that a better way is not there. Asking costs a connection; who has installed python3 waits that long."""


REMEDY = "install python3 (3.6 or newer) on the box: forged notices it within some minutes, and its agent can do all of it"


@runtime_checkable
class Roomy(Protocol):
    """A body that knows how full the disk is."""

    async def space(self) -> Space: ...


@runtime_checkable
class PerhapsTimeless(Protocol):
    """A body that may have no clock of its own to tell of: SFTP."""

    async def tells_time(self) -> bool: ...


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


class BestWay(Coat):
    """A Source. `ways`: the best first."""

    def __init__(self, ways: Sequence[Way], memory: Memory) -> None:
        super().__init__()
        self._ways, self._memory = ways, memory
        self._number = 0

    @property
    def capabilities(self) -> Capabilities:
        can = self._open.capabilities
        lacking = self._memory.lacking[: self._number]
        words = f"{can.transport} ({_all(lacking)} on the box)"
        return replace(can, transport=words, remedy=REMEDY if can.missing else "") if lacking else can

    async def __aenter__(self) -> Self:
        """Raises what the body raises that is taken; NotSupported where there is none."""
        known = [] if self._memory.is_old else list(self._memory.lacking)
        self.inside, self._number = await self._first(known)
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
        raise NotSupported(f"there is no way to read this box: {_all(lacking)}", hint=last.hint if last else "") from last

    # --- the calls --------------------------------------------------------------------------------------------------------

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        """Raises SourceLost before anything is listed when a better way has been found: the next connection takes it."""
        if self._number and self._memory.is_old and await self._is_there_a_better():
            raise SourceLost("the box can be reached in a better way now", hint="forged reconnects by itself")
        async with aclosing(self._open.list(folders, known)) as parts:
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

    async def space(self) -> Space:
        """Free and total bytes of the disk that holds the root. Raises NotSupported where the body cannot say."""
        if isinstance(self._open, Roomy):
            return await self._open.space()
        raise NotSupported("how full its disk is, only an agent tells")

    async def tells_time(self) -> bool:
        """Whether `clock_ns` is the box's own word, and not ours with a doubt."""
        return not isinstance(self._open, PerhapsTimeless) or await self._open.tells_time()


def _all(lacking: Sequence[str]) -> str:
    """Each once: two ways may need the same."""
    return " and ".join(dict.fromkeys(lacking))
