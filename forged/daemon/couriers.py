"""Brings events to the ingest handlers: a task for each, begun and ended as the configuration says.

What all handlers have taken is pruned; where none is configured, nothing is kept. A handler that takes nothing is a condition, with
how much waits for it: logged once when it breaks and once when it heals, shown by status, and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from forged.daemon.conditions import Conditions
from forged.daemon.instance import discovery_of
from forged.daemon.runner import REPORT
from forged.ingest.base import Handler
from forged.ingest.delivery import Delivery, Try
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.signs import Alive
from forged.kit.tasks import Tasks
from forged.metrics.metrics import Metrics
from forged.model.errors import EventsRetried, EventsSetAside, ForgedError, IngestError, Scope, StoreError
from forged.model.events import Event, EventId
from forged.model.handing import AsideCount
from forged.model.observer import Fact, FilesExamined, FilesLanded, FilesRemoved
from forged.model.settings import Config, IngestSettings
from forged.store.base import Ingests, Outbox

PRUNE_S = 15.0
"""Between two looks at what everybody has taken, and at what waits: as often as Prometheus asks (its usual scrape_interval)."""

BEGIN_ANEW_S = 60.0
"""After a fault of ours, or a damaged state database, a delivery rests so long: it must not fill the log."""

NOTHING_ASIDE = AsideCount()

Make = Callable[[IngestSettings], Handler | None]


class UnknownHandler(ForgedError):
    """No ingest handler of that name is at work."""


class Of:
    """A handler that gets only the events of these targets, or of targets of these discoveries; none named = all."""

    def __init__(self, handler: Handler, names: Sequence[str]) -> None:
        self.inner = self._handler = handler
        self._names = frozenset(names)

    @property
    def name(self) -> str:
        return self._handler.name

    @property
    def batch(self) -> int:
        return self._handler.batch

    async def deliver(self, events: Sequence[Event]) -> None:
        wanted = [event for event in events if not self._names or self._names & {event.target, discovery_of(event)}]
        if wanted:
            await self._handler.deliver(wanted)

    async def try_out(self) -> str:
        return await self._handler.try_out()

    async def aclose(self) -> None:
        await self._handler.aclose()


@dataclass(slots=True, eq=False)
class Courier:
    """One handler at work, and how it goes."""

    settings: IngestSettings
    keeper: Handler
    """The handler itself."""
    handler: Of
    delivery: Delivery
    conditions: Conditions
    waiting: int = 0
    """Events that it has not taken and will be brought, when they were last counted."""
    aside: AsideCount = NOTHING_ASIDE
    """Those of them, and others, that are out of its stream."""

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def task(self) -> str:
        return f"delivery to {self.name}"


class Couriers:
    """One courier for each handler that this forged can make, by name."""

    def __init__(self, make: Make, outbox: Outbox, ingests: Ingests, metrics: Metrics, clock: Clock, log: Log) -> None:
        """`make` opens the handler for its settings; None: this kind takes no events yet."""
        self._make = make
        self._outbox = outbox
        self._ingests = ingests
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._running: dict[str, Courier] = {}
        self._takes: dict[str, Sequence[str]] = {}
        """Who is told of files, and of whose; none named = all."""
        self._takers: frozenset[str] = frozenset()
        """Whose events are kept: also of one that is just being begun anew with other settings."""
        self._tasks = Tasks(self._ended)

    @property
    def all(self) -> list[Courier]:
        return list(self._running.values())

    def find(self, name: str) -> Courier:
        """Raises UnknownHandler."""
        if name not in self._running:
            raise UnknownHandler(f"no ingest {name!r} is at work", hint=f"at work are: {', '.join(self._running) or 'none'}")
        return self._running[name]

    def anybody(self) -> bool:
        """Whether somebody takes events."""
        return bool(self._takers)

    def news(self) -> None:
        """Something was put into the outbox."""
        for courier in self._running.values():
            courier.delivery.news()

    def notice(self, fact: Fact) -> None:
        """As an observer: what follows these facts is in the outbox already."""
        if isinstance(fact, FilesLanded | FilesExamined | FilesRemoved):
            self.news()

    # --- applying a configuration -----------------------------------------------------------------------------------------

    async def apply(self, config: Config) -> None:
        """Makes the handlers of `config` the ones that get events. One whose settings change misses none of them."""
        new = {one.name: self._make(one) for one in config.handlers if self._is_new(one)}
        staying = {one.name for one in config.handlers if not self._is_new(one)}
        self._takers = frozenset(staying | {name for name, handler in new.items() if handler is not None})
        self._takes = {one.name: one.targets for one in config.handlers if one.name in self._takers and one.takes_files}
        await self._enlist()
        for name in set(self._running) - staying:
            await self._end(name)
            if name not in self._takers:
                self._metrics.forget_handler(name)
        for settings in config.handlers:
            if (handler := new.get(settings.name)) is not None:
                self._begin(settings, Of(handler, settings.targets))
        self._running = {one.name: self._running[one.name] for one in config.handlers if one.name in self._running}
        await self.count()

    def _is_new(self, settings: IngestSettings) -> bool:
        running = self._running.get(settings.name)
        return running is None or running.settings != settings

    def _begin(self, settings: IngestSettings, handler: Of) -> None:
        name = settings.name
        self._metrics.expect_handler(name)
        delivery = Delivery(
            handler, self._outbox, self._clock, kinds=settings.events, told=lambda one: self._tried(self._running[name], one)
        )
        courier = Courier(settings, handler.inner, handler, delivery, Conditions(f"ingest {name}", self._log, self._clock))
        self._running[name] = courier
        self._tasks.start(courier.task, delivery.run())

    async def _end(self, name: str) -> None:
        await self._tasks.stop(self._running[name].task)
        await self._running.pop(name).handler.aclose()

    async def stop(self) -> None:
        """Ends all; what was not taken waits in the outbox."""
        for name in list(self._running):
            await self._end(name)

    # --- how it goes ------------------------------------------------------------------------------------------------------

    def _tried(self, courier: Courier, one: Try) -> None:
        self._metrics.ingested(courier.name, one.events, taken=one.error is None)
        if one.apart:
            return  # `count` tells it
        if one.error is not None:
            rarely = isinstance(one.error, IngestError) and not one.error.transient
            then = f"then, or it takes minutes: forgectl ingest retry {courier.name}" if rarely else ""
            courier.conditions.failed(one.error, then=then)
        else:
            for scope in (IngestError.scope, StoreError.scope):
                courier.conditions.well(scope)

    def _ended(self, task: str, error: BaseException | None) -> None:
        """A bug of ours, or a state database that is damaged. It begins anew after a while."""
        courier = next((one for one in self._running.values() if one.task == task), None)
        if courier is not None and isinstance(error, StoreError):
            courier.conditions.failed(error)
        else:
            self._log.error("a task ended unexpectedly; it is started again", task=task, exc_info=error, hint=REPORT)
        if courier is not None:
            asyncio.get_running_loop().call_later(BEGIN_ANEW_S, self._restart, courier)

    def _restart(self, courier: Courier) -> None:
        if self._running.get(courier.name) is courier and courier.task not in self._tasks.names:
            self._tasks.start(courier.task, courier.delivery.run())

    async def count(self) -> None:
        """How much waits for each of them. A state database in trouble shows elsewhere; then it is as it was."""
        for courier in self.all:
            with suppress(StoreError):
                courier.aside = await self._outbox.count_aside(courier.name)
                courier.waiting = await self._outbox.waiting(courier.name) + courier.aside.retried
                self._metrics.ingest_waiting(courier.name, courier.waiting, courier.aside.set_aside)
                await self._tell_of_aside(courier)

    async def _tell_of_aside(self, courier: Courier) -> None:
        """One condition: of those that wait for a person, or else of those that are tried again."""
        aside = courier.aside
        first = await self._outbox.set_aside(courier.name, EventId(0), 1) if aside != NOTHING_ASIDE else ()
        if not first:
            courier.conditions.well(Scope.FILE)
            return
        number, what = (aside.set_aside, EventsSetAside) if aside.set_aside else (aside.retried, EventsRetried)
        words = "are set aside, since it did not take them" if aside.set_aside else "were not taken, and are tried again"
        courier.conditions.failed(what(f"{number:,} of its events {words}: {first[0].error}"))

    async def _enlist(self) -> None:
        """A state database in trouble shows elsewhere; until it is well again, nothing counts as taken that was not before."""
        with suppress(StoreError):
            await self._ingests.enlist(self._takes, self._clock.now_ns())

    async def keep_pruning(self, alive: Alive) -> None:
        """An eternal task."""
        while True:
            alive()
            await self._enlist()
            try:
                await self._outbox.prune(sorted(self._takers))
            except StoreError as error:
                self._log.warning("the outbox cannot be pruned; it is tried again", reason=error.message, hint=error.hint)
            await self.count()
            await self._clock.sleep(PRUNE_S)
