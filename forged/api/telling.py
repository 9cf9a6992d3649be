"""Who hears of what syncs have brought home: handlers in this process, each with a place of its own in the outbox.

At least once: what a handler does not take comes again with the next sync, `event.id` tells a repetition. One that fails holds up
no other, and no sync: it is told among the sync's errors.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forged.daemon import answers
from forged.daemon.app import App
from forged.ingest.base import BATCH
from forged.ingest.delivery import Delivery, Try
from forged.ingest.interface import MediaEvent, MediaEventData, MediaIngestInterface, event_data
from forged.model.errors import IngestError
from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.model.jobs import Job
from forged.model.target import Target

Hears = MediaIngestInterface | Callable[[MediaEventData], object]
"""A handler: an object of the interface, or a function, plain or async. `False` says: not taken."""


@dataclass(eq=False)
class _Subscriber:
    """An ingest handler (ingest/base) around one of the user's."""

    name: str
    hears: Hears
    batch: int = BATCH
    kinds: set[MediaEvent] = field(default_factory=set)
    taken: set[EventId] = field(default_factory=set)
    """In this delivery."""

    async def deliver(self, events: Sequence[Event]) -> None:
        """What it took of a batch that is brought again in parts, since one event failed, does not come to it twice."""
        for event in events:
            if event.id not in self.taken:
                await self._take(event_data(event))
                self.taken.add(event.id)

    async def _take(self, event: MediaEventData) -> None:
        # As a value: whatever user code raises, it is trouble of this handler alone.
        [outcome] = await asyncio.gather(self._call(event), return_exceptions=True)
        if isinstance(outcome, BaseException):
            raise IngestError(f"{self.name}: {type(outcome).__name__}: {outcome}", about=(event.id,)) from outcome
        if outcome is False:
            raise IngestError(f"{self.name} did not take {event.event.value} {event.key}", about=(event.id,))

    async def _call(self, event: MediaEventData) -> object:
        answer: object
        if not isinstance(self.hears, MediaIngestInterface):
            answer = self.hears(event)
        elif event.event is EventKind.FILE_SYNCED:
            answer = await self.hears.on_batch_synced([event]) > 0
        elif event.event is EventKind.FILE_REMOVED:
            answer = self.hears.on_file_removed(event)
        elif event.event is EventKind.SYNC_COMPLETE:
            answer = self.hears.on_sync_complete(str(event.body.get("sync_id", "")), event.body)
        else:
            answer = self.hears.on_event(event)
        return await answer if inspect.isawaitable(answer) else answer

    async def try_out(self) -> str:
        """It is in this process: nothing can be tried without an event."""
        return "in this process"

    async def aclose(self) -> None:
        if isinstance(self.hears, MediaIngestInterface):
            await self.hears.close()


class MediaEventManager:
    """Given to a SyncEngine or SyncOrchestrator, its handlers get the events of their syncs."""

    def __init__(self) -> None:
        self._subscribers: list[_Subscriber] = []

    def subscribe(self, event: MediaEvent, handler: Hears) -> None:
        """From the next sync on `handler` gets these events; its place is kept by the name of its class or function."""
        for one in self._subscribers:
            if one.hears is handler:
                one.kinds.add(event)
                return
        kind = handler if inspect.isroutine(handler) else type(handler)
        name = f"api:{kind.__module__}.{kind.__qualname__}"
        same = sum(one.name.partition("#")[0] == name for one in self._subscribers)
        self._subscribers.append(_Subscriber(f"{name}#{same + 1}" if same else name, handler, kinds={event}))

    def unsubscribe(self, event: MediaEvent, handler: Hears) -> None:
        for one in self._subscribers:
            if one.hears is handler:
                one.kinds.discard(event)

    def anybody(self) -> bool:
        """Whether somebody is to hear of anything."""
        return any(one.kinds for one in self._subscribers)

    async def bring(self, app: App, target: Target, job: Job) -> list[str]:
        """Delivers what happened; answers in words who did not take it. Raises StoreError."""
        if not self._subscribers:
            return []
        await _announce(app, target, job)
        words = await asyncio.gather(*(_delivered(app, one) for one in self._subscribers))
        await app.store.outbox.prune([one.name for one in self._subscribers])
        return [word for word in words if word]


async def _delivered(app: App, one: _Subscriber) -> str:
    """All that waits for it; answers in words what it did not take. That is tried again first, with each sync."""
    failed: list[Try] = []
    one.taken.clear()
    delivery = Delivery(one, app.store.outbox, app.clock, kinds=one.kinds, told=failed.append)
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
