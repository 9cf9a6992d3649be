"""From the outbox to a handler: one loop for each, so that a slow or dead one holds up nobody else.

At least once and in order: events are acknowledged when the handler has taken them; whatever happens in between, they come again. A
handler that is away gets them again, for ever, less and less often. An event that it cannot take, while it takes others, leaves the
stream, and all later ones of its key behind it: it is tried again alone, and after TRIES waits for a person.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from forged.ingest.base import Handler
from forged.ingest.bringing import Bringing, Stuck
from forged.kit.backoff import backoff
from forged.kit.clock import Clock
from forged.kit.tasks import to_the_end
from forged.model.errors import IngestError, StoreError
from forged.model.events import Event, EventId, EventKind
from forged.model.handing import SetAside

AGAIN = 10
"""Of those that are tried again, in one go: each may cost a process or a time limit, and the others wait meanwhile."""

TRIES = 10
"""Of one event, until it waits for a person: nine minutes, with the waits below. Chosen: what passes by itself (a receiver that
reloads, a lock) has passed by then, and nobody is called for less."""

GATHER_S = 1.0
"""From one delivery of less than a batch to the next: what comes one by one would cost a process, a request or a transaction each,
and the loop's time. What comes alone is brought at once."""

LOOK_S = 60.0
"""Nobody should have to be told of events: whoever forgot to costs a minute."""

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
"""After a failure. A receiver that was down for a night gets everything within five minutes of being back."""


class Outbox(Protocol):
    """What is needed of the store's outbox (store/base.Outbox)."""

    async def after(self, handler: str, limit: int) -> Sequence[Event]: ...

    async def settle(
        self, handler: str, *, upto: EventId | None = None, taken: Collection[EventId] = (), aside: Sequence[SetAside] = ()
    ) -> None: ...

    async def set_aside_keys(self, handler: str, keys: Collection[str]) -> frozenset[str]: ...

    async def due(self, handler: str, now_ns: int, limit: int) -> Sequence[SetAside]: ...

    async def next_due(self, handler: str) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How a delivery stands, for status and metrics."""

    delivered: int = 0
    """Events that the handler took, since the start."""
    failures: int = 0
    """Tries in a row that failed; 0 = all is well."""
    error: IngestError | StoreError | None = None
    """Of the last try."""
    failing_since_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """One delivery, as it ended: how many events it was about, and what went wrong."""

    events: int
    error: IngestError | StoreError | None = None
    apart: bool = False
    """They were set aside: the handler takes others."""


def _nobody(_: Try) -> None:
    """Listens."""


class Delivery:
    """Brings one handler its events. `kinds`, `targets`: which, and whose; empty = all. What is not wanted counts as taken."""

    def __init__(
        self,
        handler: Handler,
        outbox: Outbox,
        clock: Clock,
        *,
        kinds: Collection[EventKind] = (),
        targets: Collection[str] = (),
        told: Callable[[Try], None] = _nobody,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`told` hears how each delivery ended."""
        self.standing = Standing()
        self._handler = handler
        self._outbox = outbox
        self._clock = clock
        self._kinds = frozenset(kinds)
        self._targets = frozenset(targets)
        self._told = told
        self._chance = chance
        self._tried = 0
        """Events that the handler is being brought."""
        self._stuck = 0
        """Tries in a row in which it took none, whichever it was brought."""
        self._took_ns = 0
        """When it took something last; 0 = not in this life."""
        self.next_try_ns: int | None = None
        """When a handler that is away is tried again, or since when it is being tried; None: it is not away."""
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()

    @property
    def name(self) -> str:
        """The handler's."""
        return self._handler.name

    def news(self) -> None:
        """There are events: who has put some into the outbox says so here. Never waits, nor shortens the wait after a failure."""
        self._news.set()

    def hurry(self) -> None:
        """A person has mended something: the next try is now."""
        self._hurry.set()
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled; then nothing is half done. Raises a StoreError that does not pass by itself."""
        waits = backoff(FIRST_WAIT_S, LONGEST_WAIT_S, self._chance)
        while True:
            self._news.clear()  # before looking: what is put there meanwhile is news
            next_s = _loop_s() + GATHER_S
            try:
                fresh, tried_again = await self.once(), await self.again()
                quiet_s = 0.0 if fresh or tried_again else await self._quiet_s()
            except (IngestError, StoreError) as error:
                if isinstance(error, StoreError) and not error.transient:
                    raise
                self._failed(error)
                await self._pause(next(waits) if error.transient else LONGEST_WAIT_S)
                continue
            self.next_try_ns = None
            waits = backoff(FIRST_WAIT_S, LONGEST_WAIT_S, self._chance)
            self._hurry.clear()
            if quiet_s:
                await _waited(self._news, quiet_s)
            elif fresh < self._handler.batch and not tried_again:
                await _waited(self._hurry, next_s - _loop_s())

    async def _pause(self, seconds: float) -> None:
        """After a failure, unless a person asks for the next try."""
        self.next_try_ns = self._clock.now_ns() + round(seconds * 1e9)
        await _waited(self._hurry, seconds)
        self.next_try_ns = self._clock.now_ns()
        self._hurry.clear()

    async def once(self) -> int:
        """Brings the next events, and answers how many it has done with. Raises IngestError and StoreError: they wait."""
        events = await self._outbox.after(self.name, self._handler.batch)
        if not events:
            return 0
        wanted = [event for event in events if self._wants(event)]
        follow = await self._outbox.set_aside_keys(self.name, {event.key for event in wanted}) if wanted else frozenset[str]()
        now_ns = self._clock.now_ns()
        bringing = await self._brought([event for event in wanted if event.key not in follow])
        behind = [*(event for event in wanted if event.key in follow), *bringing.behind]
        aside = [self._aside(SetAside(event, 0, "", now_ns, 0), error) for event, error in bringing.failed]
        aside += [SetAside(event, 0, "", now_ns, 0) for event in behind]
        left = {event.id for event in wanted} - {event.id for event in (*bringing.taken, *(one.event for one in aside))}
        upto = _last_before(left, events)
        # To the end, or they would come twice without need.
        await to_the_end(self._outbox.settle(self.name, upto=upto, aside=[one for one in aside if one.event.id <= upto]))
        self._well(bringing)
        return len(events)

    async def _brought(self, events: Sequence[Event]) -> Bringing:
        """Raises IngestError for a handler that is away, or takes nothing. After TRIES of that it may be the events after all: then
        those that were tried make room for the next."""
        bringing = Bringing(self._handler)
        try:
            await self._bring(bringing, events)
        except Stuck:
            self._stuck += 1
            if self._stuck < TRIES:
                raise
        self._stuck = 0
        return bringing

    async def _bring(self, bringing: Bringing, events: Sequence[Event]) -> None:
        """Raises IngestError for a handler that is away, and Stuck."""
        self._tried = len(events)
        await bringing.bring(events)
        if bringing.taken:
            self._took_ns = self._clock.now_ns()

    async def again(self) -> int:
        """Tries again what was set aside and is due, at most AGAIN of them, and answers how many. Raises IngestError for a handler
        that is away, and StoreError."""
        due = await self._outbox.due(self.name, self._clock.now_ns(), AGAIN)
        if not due:
            return 0
        known = {one.event.id: one for one in due}
        bringing = Bringing(self._handler, suspects=None)
        await self._bring(bringing, [one.event for one in due])
        aside = [self._aside(known[event.id], error) for event, error in bringing.failed]
        await to_the_end(self._outbox.settle(self.name, taken=[event.id for event in bringing.taken], aside=aside))
        self._well(bringing)
        return len(due)

    def _aside(self, before: SetAside, error: IngestError) -> SetAside:
        """After one more try. Only if the handler takes other events it is this one's fault, and a person has to see to it: who
        takes none at all will do so again some day."""
        tries, now_ns = before.tries + 1, self._clock.now_ns()
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(tries - 1, 30), LONGEST_WAIT_S)
        gives_up = tries >= TRIES and self._took_ns >= before.since_ns
        return replace(before, tries=tries, error=error.message, due_ns=None if gives_up else now_ns + round(wait_s * 1e9))

    def _wants(self, event: Event) -> bool:
        return (not self._kinds or event.kind in self._kinds) and (not self._targets or event.target in self._targets)

    def _well(self, bringing: Bringing) -> None:
        if bringing.failed:
            self._told(Try(len(bringing.failed), bringing.failed[-1][1], apart=True))
        if bringing.taken or not bringing.failed:
            self.standing = Standing(self.standing.delivered + len(bringing.taken))
            self._told(Try(len(bringing.taken)))

    def _failed(self, error: IngestError | StoreError) -> None:
        before, tried, self._tried = self.standing, self._tried, 0
        since_ns = before.failing_since_ns if before.failures else self._clock.now_ns()
        self.standing = Standing(before.delivered, before.failures + 1, error, since_ns)
        self._told(Try(tried, error))

    async def _quiet_s(self) -> float:
        """How long there is nothing to do, if nothing comes."""
        due_ns = await self._outbox.next_due(self.name)
        return LOOK_S if due_ns is None else min(LOOK_S, max((due_ns - self._clock.now_ns()) / 1e9, 0.001))


def _last_before(left: Collection[EventId], events: Sequence[Event]) -> EventId:
    """Up to here the handler has done with these events: before the first one that is left, which comes again with all after it."""
    return EventId(min(left, default=events[-1].id + 1) - 1)


def _loop_s() -> float:
    return asyncio.get_running_loop().time()


async def _waited(event: asyncio.Event, seconds: float) -> None:
    """Until it happens, or so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
