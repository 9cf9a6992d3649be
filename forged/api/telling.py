"""Who hears of what syncs have brought home: handlers in this process, each with a place of its own in the outbox.

At least once: what a handler does not take comes again with the next sync, `event.id` tells a repetition. One that fails holds up
no other, and no sync: it is told among the sync's errors.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from forged.api.hearing import WITHIN, Hearing, Hears
from forged.daemon import answers
from forged.daemon.app import App
from forged.ingest.delivery import Delivery, Try
from forged.ingest.interface import MediaEvent
from forged.model.errors import IngestError
from forged.model.events import EventKind, NewEvent
from forged.model.jobs import Job
from forged.model.target import Target


@dataclass(eq=False)
class _Turn:
    """Of one handler at one opened memory: two deliveries side by side would bring it the same events."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: bool = False
    """Events came meanwhile, and who put them there does not wait."""


@dataclass(eq=False)
class _Subscriber:
    name: str
    hears: Hears
    kinds: set[MediaEvent]
    turns: WeakKeyDictionary[App, _Turn] = field(default_factory=WeakKeyDictionary)


class MediaEventManager:
    """Given to a SyncEngine, SyncOrchestrator or CleanupEngine, its handlers get the events of what these do."""

    def __init__(self) -> None:
        self._subscribers: list[_Subscriber] = []

    def subscribe(self, event: MediaEvent, handler: Hears) -> None:
        """From the next sync on `handler` gets these events; its place is kept by the name of its class or function.

        Files come one after the other, or in batches of up to 100 where the class has an `on_batch_synced` of its own.
        """
        for one in self._subscribers:
            if one.hears is handler:
                one.kinds.add(event)
                return
        kind = handler if inspect.isroutine(handler) else type(handler)
        name = f"api:{kind.__module__}.{kind.__qualname__}"
        same = sum(one.name.partition("#")[0] == name for one in self._subscribers)
        self._subscribers.append(_Subscriber(f"{name}#{same + 1}" if same else name, handler, {event}))

    def unsubscribe(self, event: MediaEvent, handler: Hears) -> None:
        """`handler` gets these no more."""
        for one in self._subscribers:
            if one.hears is handler:
                one.kinds.discard(event)

    def anybody(self) -> bool:
        """Whether somebody is to hear of anything."""
        return any(one.kinds for one in self._subscribers)

    async def bring(self, app: App, target: Target, job: Job) -> list[str]:
        """Delivers what a sync did; answers in words who did not take it. Raises StoreError."""
        if self._subscribers:
            await _announce(app, target, job)
        return await self.deliver(app)

    async def deliver(self, app: App) -> list[str]:
        """All that waits in this memory; answers likewise. Raises StoreError."""
        words = await asyncio.gather(*(_in_turn(app, one) for one in self._subscribers if one.kinds))
        if self._subscribers:
            await app.store.outbox.prune([one.name for one in self._subscribers if one.kinds])
        return [word for word in words if word]


async def _in_turn(app: App, one: _Subscriber) -> str:
    """A handler that syncs, and would be told of that, is not waited for: whoever is telling it goes on with these events."""
    turn = one.turns.setdefault(app, _Turn())
    if WITHIN.get() and turn.lock.locked():
        turn.asked = True
        return ""
    async with turn.lock:
        words, turn.asked = "", True
        while turn.asked:
            turn.asked = False
            words = await _delivered(app, one) or words
        return words


async def _delivered(app: App, one: _Subscriber) -> str:
    """All that waits for it; answers in words what it did not take. That is tried again first, with each sync."""
    failed: list[Try] = []
    delivery = Delivery(Hearing(one.name, one.hears), app.store.outbox, app.clock, kinds=one.kinds, told=failed.append)
    await app.store.outbox.retry(one.name)
    try:
        while await delivery.again():
            pass
        while await delivery.once():
            pass
    except IngestError as error:
        return f"events: {error.message}"
    return next((f"events: {one.error.message}" for one in failed if one.error is not None), "")


async def _announce(app: App, target: Target, job: Job) -> None:
    """The job itself, after its files (sync/publish), which were put down as they landed."""
    kind = EventKind.SYNC_COMPLETE if job.result and job.result.success else EventKind.SYNC_FAILED
    await app.store.outbox.put([NewEvent(kind, target.name, app.clock.now_ns(), job.id, json.dumps(answers.job(job)))])
