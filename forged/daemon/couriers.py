"""Brings events to the ingest handlers: a task for each, begun and ended as the configuration says.

What all handlers have taken is pruned; where none is configured, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forged.daemon.instance import discovery_of
from forged.ingest.base import Handler
from forged.ingest.delivery import Delivery
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.tasks import Tasks
from forged.model.errors import StoreError
from forged.model.events import Event
from forged.model.settings import Config, IngestSettings
from forged.store.base import Outbox

PRUNE_S = 60.0
"""Between two looks at what everybody has taken."""

Make = Callable[[IngestSettings], Handler | None]


class Of:
    """A handler that gets only the events of these targets, or of targets of these discoveries; none named = all."""

    def __init__(self, handler: Handler, names: Sequence[str]) -> None:
        self._handler = handler
        self._names = frozenset(names)

    @property
    def name(self) -> str:
        return self._handler.name

    async def deliver(self, events: Sequence[Event]) -> None:
        wanted = [event for event in events if not self._names or self._names & {event.target, discovery_of(event)}]
        if wanted:
            await self._handler.deliver(wanted)

    async def aclose(self) -> None:
        await self._handler.aclose()


class Couriers:
    """One delivery for each handler that this forged can make, by name."""

    def __init__(self, make: Make, outbox: Outbox, clock: Clock, log: Log) -> None:
        """`make` opens the handler for its settings; None: this kind takes no events yet."""
        self._make = make
        self._outbox = outbox
        self._clock = clock
        self._log = log
        self._running: dict[str, tuple[IngestSettings, Of, Delivery]] = {}
        self._tasks = Tasks(lambda name, error: log.error("a task ended unexpectedly", task=name, exc_info=error))

    def anybody(self) -> bool:
        """Whether somebody takes events."""
        return bool(self._running)

    def news(self) -> None:
        """Something was put into the outbox."""
        for _, _, delivery in self._running.values():
            delivery.news()

    async def apply(self, config: Config) -> None:
        """Makes the handlers of `config` the ones that get events."""
        wanted = {one.name: one for one in config.ingests}
        for name, (settings, _, _) in list(self._running.items()):
            if wanted.get(name) != settings:
                await self._end(name)
        for name, settings in wanted.items():
            if name not in self._running and (handler := self._make(settings)) is not None:
                self._begin(settings, Of(handler, settings.targets))

    def _begin(self, settings: IngestSettings, handler: Of) -> None:
        delivery = Delivery(handler, self._outbox, self._clock, kinds=settings.events)
        self._running[settings.name] = (settings, handler, delivery)
        self._tasks.start(f"delivery to {settings.name}", delivery.run())

    async def _end(self, name: str) -> None:
        await self._tasks.stop(f"delivery to {name}")
        await self._running.pop(name)[1].aclose()

    async def stop(self) -> None:
        """Ends all; what was not taken waits in the outbox."""
        for name in list(self._running):
            await self._end(name)

    async def keep_pruning(self) -> None:
        """An eternal task."""
        while True:
            try:
                await self._outbox.prune(list(self._running))
            except StoreError as error:
                self._log.warning("the outbox cannot be pruned; it is tried again", reason=error.message)
            await self._clock.sleep(PRUNE_S)
