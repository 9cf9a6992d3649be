"""The life of one target: keeps its source open, does what is asked one after the other, and brings noticed files at once.

Trouble stays here: a source that does not answer is tried again with growing pauses, and what was asked meanwhile is answered with
the reason.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from forged.daemon.standing import WAITED_FOR, Standing
from forged.daemon.watching import Watching
from forged.kit.backoff import backoff
from forged.model.errors import Cancelled, ForgedError, NotSupported, SourceError, SourceLost
from forged.sync.doors import Doors

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
"""Between two attempts at a source that does not answer. A box that comes back is home within five minutes; a person's request
tries at once."""


REPORT = "please report it, with the lines below"
"""What to do about a fault of ours."""


class Fault(ForgedError):
    """forged stumbled over a mistake of its own."""

    default_hint = "the log has the details: please report it; the target begins anew by itself"


class NobodyThere(SourceError):
    """Nobody is there to answer."""

    default_hint = "start the box at its provider; forged goes on by itself"


@dataclass(slots=True, eq=False)
class Wish:
    """Something to do when its turn has come.

    `refuse` hears why it was not done, or not to its end: nobody answered, it was cancelled, or it raised. `work` that ends well
    is the only other end a wish has. `refuse` may be called after `work` has told its own end; it must bear that.
    """

    name: str
    work: Callable[[], Awaitable[None]]
    refuse: Callable[[ForgedError], Awaitable[None]]
    urgent: bool = False
    """A person waits for it: it ends the pause before the next attempt."""


class Runner:
    """One target's worker. `run` lives as long as the target; the others only ask."""

    def __init__(self, doors: Doors, standing: Standing, chance: Callable[[], float], look: Callable[[], object]) -> None:
        """`look`: asks for a look at everything, since something may have been missed. `chance`: spreads the pauses."""
        self.doors = doors
        self.looks = standing.looks
        self.standing = standing
        self.watching = Watching(doors, self.looks, standing, look, lambda: self._current is not None)
        self._chance = chance
        self._wishes: deque[Wish] = deque()
        self._news = asyncio.Event()
        self._current: Wish | None = None
        self._work: asyncio.Task[None] | None = None
        self._why: ForgedError | None = None
        self._leaving: ForgedError | None = None
        self._worked = False
        self._hurry = False
        self._told: ForgedError | None = None
        self._farewells: set[asyncio.Task[None]] = set()

    # --- asking -----------------------------------------------------------------------------------------------------------

    def ask(self, wish: Wish) -> None:
        """Puts it in the queue. Raises why this target takes nothing any more."""
        if self._leaving is not None:
            raise self._leaving
        self._wishes.append(wish)
        self._news.set()

    def hurry(self) -> None:
        """There is something new to try: another address, or a box that was stopped is up."""
        self._hurry = True
        self._news.set()

    def cancel(self, wish: Wish, why: ForgedError) -> None:
        """Ends a wish, waiting or at work; its `refuse` hears why. One that has had its end is fine."""
        if wish is self._current and self._work is not None:
            self._why = self._why or why
            self._work.cancel()
        elif wish in self._wishes:
            self._wishes.remove(wish)
            farewell = asyncio.ensure_future(_awaited(wish.refuse(why)))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    def leave(self, why: ForgedError) -> None:
        """From now on nothing is taken, and what is under way will have ended for this reason. Then `run` is to be cancelled.

        It ends even if some library loses that cancellation.
        """
        self._leaving = why
        self._news.set()

    async def left(self) -> None:
        """After `run` has ended for good: tells those that still wait."""
        await self._refuse_all(self._leaving or Cancelled())
        if self._farewells:
            await asyncio.wait(self._farewells)

    # --- living -----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until it is cancelled. Raises nothing that is expected to go wrong outside."""
        pauses = self._pauses()
        while True:
            await self._somebody_there()
            try:
                async with self.doors.source:
                    self.standing.reached(self.doors.source.capabilities)
                    await self._serve()
            except SourceError as error:
                worked, self._worked = self._worked, False
                if worked:
                    pauses = self._pauses()
                if worked and isinstance(error, SourceLost) and error is not self._told:
                    self.standing.cut(error)  # a line over which something was done is worth another one at once
                    continue
                if not self._nobody_there:  # a box that was stopped takes its connections along
                    self._tell(error)
                await self._refuse_all(error)
                if await self._pause(next(pauses)):
                    pauses = self._pauses()

    def _pauses(self) -> Iterator[float]:
        return backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, self._chance)

    async def _somebody_there(self) -> None:
        """Waits while a provider says that a box is stopped, without a word: no attempts, and nothing in the log."""
        while why := self._nobody_there:
            if self._leaving is not None:
                raise asyncio.CancelledError
            self.standing.sleeps()
            self._news.clear()
            await self._refuse_all(NobodyThere(f"{self.doors.target.name}: {why}"))
            await self._news.wait()

    @property
    def _nobody_there(self) -> str:
        return self.standing.instance.route.nobody_there if self.standing.instance else ""

    async def _pause(self, seconds: float) -> bool:
        """Waits, unless a person asks for something, or there is something new to try: then the answer is True."""
        self.standing.tries_in(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._hurry and not any(wish.urgent for wish in self._wishes):
                    self._news.clear()
                    await self._news.wait()
        self.standing.tries_in(0.0)
        hurried, self._hurry = self._hurry, False
        return hurried

    async def _serve(self) -> None:
        """While the source is open and can do what it could: wishes in turn, the watch beside them.

        Raises the SourceError that ended the connection.
        """
        watch = asyncio.create_task(self.watching.run(), name=f"watch {self.doors.target.name}")
        watch.add_done_callback(lambda _: self._news.set())
        try:
            while self.doors.source.capabilities == self.standing.capabilities:
                if watch.done():
                    watch.result()  # raises what ended it, if anything did
                await self._next()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _next(self) -> None:
        """Does one wish, or waits for news."""
        if self._leaving is not None:
            raise asyncio.CancelledError
        if self._wishes:
            await self._do(self._wishes.popleft())
        else:
            await self._news.wait()
            self._news.clear()

    async def _do(self, wish: Wish) -> None:
        """A task of its own, so that it can be cancelled without ending the runner."""
        work = asyncio.create_task(_worked(wish), name=f"{wish.name} {self.doors.target.name}")
        self._current, self._work, self._why = wish, work, None
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            await self._ended(wish, work)
            raise
        await self._ended(wish, work)

    async def _ended(self, wish: Wish, work: asyncio.Task[None]) -> None:
        """Tells the wish how it ended. Raises what the runner cannot go on after: a lost connection, a fault of ours."""
        self._current = self._work = None
        error = (self._why or self._leaving or Cancelled()) if work.cancelled() else work.exception()
        if error is None:
            self._worked = True
            return
        if not isinstance(error, ForgedError):
            await wish.refuse(Fault())
            raise error
        if not work.cancelled():
            self._tell(error)  # first, so that who hears the refusal and looks at the status sees why
        await wish.refuse(error)
        if _ends_connection(error):
            raise error

    def _tell(self, error: ForgedError) -> None:
        """What outlasts a wish is a condition of the target, told once for each time it is met."""
        if error is self._told:
            return
        self._told = error
        if isinstance(error, SourceError) and _ends_connection(error):
            self.standing.lost(error)
        elif error.scope in WAITED_FOR:
            self.standing.broken(error)

    async def _refuse_all(self, error: ForgedError) -> None:
        while self._wishes:
            await self._wishes.popleft().refuse(error)


def _ends_connection(error: ForgedError) -> bool:
    """Whether the source has to be opened anew, or cannot be: all but a question that this kind of source does not answer."""
    return isinstance(error, SourceError) and not isinstance(error, NotSupported)


async def _worked(wish: Wish) -> None:
    """Begins only when its task does: cancelled before that, nothing was begun."""
    await wish.work()


async def _awaited(work: Awaitable[None]) -> None:
    await work
