"""The life of one target: keeps its source open, does what is asked one after the other, and brings noticed files at once.

Trouble stays here: a source that does not answer is tried again with growing pauses, a destination in trouble is waited for, and
what was asked meanwhile is answered with the reason.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from forged.daemon.standing import Standing
from forged.daemon.watching import Watching
from forged.kit.backoff import backoff
from forged.model.errors import ForgedError, Scope, SourceError
from forged.sync.doors import Doors, Looks

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
"""Between two attempts at a source that does not answer. A box that comes back is home within five minutes; a person's request
tries at once."""


@dataclass(slots=True, eq=False)
class Wish:
    """Something to do when its turn has come. `refuse` is called instead when it cannot be."""

    name: str
    work: Callable[[], Awaitable[None]]
    refuse: Callable[[ForgedError], Awaitable[None]]
    urgent: bool = False
    """A person waits for it: it ends the pause before the next attempt."""


class Runner:
    """One target's worker. `run` lives as long as the target; the others only ask."""

    def __init__(self, doors: Doors, standing: Standing, chance: Callable[[], float], look: Callable[[], object]) -> None:
        """`look`: asks for a look at everything, since the watch may have missed something. `chance`: spreads the pauses."""
        self.doors = doors
        self.looks = Looks()
        self.standing = standing
        self._chance = chance
        self._wishes: deque[Wish] = deque()
        self._news = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._watching = Watching(doors, self.looks, standing, look)

    # --- asking -----------------------------------------------------------------------------------------------------------

    def ask(self, wish: Wish) -> bool:
        """Puts it in the queue. False when one of that name waits already and no person asks: once is enough."""
        if not wish.urgent and any(waiting.name == wish.name for waiting in self._wishes):
            return False
        self._wishes.append(wish)
        self._news.set()
        return True

    def withdraw(self, wish: Wish) -> bool:
        """Takes it back; False when its turn has come already."""
        with suppress(ValueError):
            self._wishes.remove(wish)
            return True
        return False

    def interrupt(self) -> None:
        """Cancels what is being done now (a person cancelled the job, or paused the target)."""
        if self._work is not None:
            self._work.cancel()

    # --- living -----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until it is cancelled. Raises nothing that is expected to go wrong outside."""
        pauses = backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, self._chance)
        while True:
            try:
                async with self.doors.source:
                    self.standing.reached(self.doors.source.capabilities)
                    pauses = backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, self._chance)
                    await self._serve()
            except SourceError as error:
                self.standing.lost(error)
                await self._refuse_all(error)
                await self._pause(next(pauses))

    async def _pause(self, seconds: float) -> None:
        """Waits, unless a person asks for something."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            self._news.clear()
            if any(wish.urgent for wish in self._wishes):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)

    async def _serve(self) -> None:
        """While the source is open: wishes in turn, the watch beside them. Ends with the SourceError that ended the connection."""
        watch = asyncio.create_task(self._watching.run(), name=f"watch {self.doors.target.name}")
        watch.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                await self._next()
                if watch.done() and not watch.cancelled():
                    watch.result()  # raises what ended it, if anything did
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def _next(self) -> None:
        """Does one wish, or waits for news."""
        if self._wishes:
            await self._do(self._wishes.popleft())
        else:
            await self._news.wait()
            self._news.clear()

    async def _do(self, wish: Wish) -> None:
        """A task of its own, so that it can be cancelled without ending the runner."""
        self._work = asyncio.create_task(_awaited(wish.work), name=f"{wish.name} {self.doors.target.name}")
        try:
            await asyncio.wait([self._work])
        except asyncio.CancelledError:
            self._work.cancel()
            await asyncio.wait([self._work])
            raise
        finally:
            work, self._work = self._work, None
        if not work.cancelled() and (error := work.exception()) is not None:
            if not isinstance(error, ForgedError):
                raise error
            if error.scope is Scope.SOURCE and error.transient:
                raise error
            self.standing.broken(error)

    async def _refuse_all(self, error: SourceError) -> None:
        while self._wishes:
            await self._wishes.popleft().refuse(error)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()
