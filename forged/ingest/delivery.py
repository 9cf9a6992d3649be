"""From the outbox to a handler: one loop for each, so that a slow or dead one holds up nobody else.

At least once and in order: events are acknowledged when the handler has taken them; whatever happens in between, they come again. A
handler that does not take them gets them again, for ever, less and less often.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from forged.ingest.base import Handler
from forged.kit.backoff import backoff
from forged.kit.clock import Clock
from forged.kit.tasks import to_the_end
from forged.model.errors import IngestError, StoreError
from forged.model.events import Event, EventId, EventKind

LOOK_S = 60.0
"""Nobody should have to be told of events: whoever forgot to costs a minute."""

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
"""After a failure. A receiver that was down for a night gets everything within five minutes of being back."""


class Outbox(Protocol):
    """What is needed of the store's outbox (store/base.Outbox)."""

    async def after(self, handler: str, limit: int) -> Sequence[Event]: ...

    async def acknowledge(self, handler: str, upto: EventId) -> None: ...


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
        self._news = asyncio.Event()

    @property
    def name(self) -> str:
        """The handler's."""
        return self._handler.name

    def news(self) -> None:
        """There are events: who has put some into the outbox says so here. Never waits, nor shortens the wait after a failure."""
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled; then nothing is half done. Raises a StoreError that does not pass by itself."""
        waits = backoff(FIRST_WAIT_S, LONGEST_WAIT_S, self._chance)
        while True:
            self._news.clear()  # before looking: what is put there meanwhile is news
            try:
                some = await self.once()
            except (IngestError, StoreError) as error:
                if isinstance(error, StoreError) and not error.transient:
                    raise
                self._failed(error)
                await self._clock.sleep(next(waits) if error.transient else LONGEST_WAIT_S)
                continue
            waits = backoff(FIRST_WAIT_S, LONGEST_WAIT_S, self._chance)
            if not some:
                await self._quiet()

    async def once(self) -> bool:
        """Brings the next events, if there are any. Raises IngestError and StoreError: they wait."""
        events = await self._outbox.after(self.name, self._handler.batch)
        if not events:
            return False
        wanted = [event for event in events if self._wants(event)]
        self._tried = len(wanted)
        if wanted:
            await self._handler.deliver(wanted)
        await to_the_end(self._outbox.acknowledge(self.name, events[-1].id))  # or they would come twice without need
        self.standing = Standing(self.standing.delivered + len(wanted))
        self._told(Try(len(wanted)))
        return True

    def _wants(self, event: Event) -> bool:
        return (not self._kinds or event.kind in self._kinds) and (not self._targets or event.target in self._targets)

    def _failed(self, error: IngestError | StoreError) -> None:
        before, tried, self._tried = self.standing, self._tried, 0
        since_ns = before.failing_since_ns if before.failures else self._clock.now_ns()
        self.standing = Standing(before.delivered, before.failures + 1, error, since_ns)
        self._told(Try(tried, error))

    async def _quiet(self) -> None:
        """Until there is news, or a while has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._news.wait()
