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
from forged.ingest.delivery import Delivery
from forged.ingest.interface import MediaEvent, MediaEventData, MediaIngestInterface, event_data
from forged.model.errors import IngestError
from forged.model.events import Event, EventKind, NewEvent
from forged.model.ingest import FileBody, written
from forged.model.jobs import Job
from forged.model.manifest import ManifestRow
from forged.model.paths import SourcePath, b64_if_needed, shown
from forged.model.target import Target

Hears = MediaIngestInterface | Callable[[MediaEventData], object]
"""A handler: an object of the interface, or a function, plain or async. `False` says: not taken."""

PAGE_ROWS = 1_000


@dataclass(eq=False)
class _Subscriber:
    """An ingest handler (ingest/base) around one of the user's."""

    name: str
    hears: Hears
    kinds: set[MediaEvent] = field(default_factory=set)

    async def deliver(self, events: Sequence[Event]) -> None:
        for event in map(event_data, events):
            await self._take(event)

    async def _take(self, event: MediaEventData) -> None:
        # As a value: whatever user code raises, it is trouble of this handler alone.
        [outcome] = await asyncio.gather(self._call(event), return_exceptions=True)
        if isinstance(outcome, BaseException):
            raise IngestError(f"{self.name}: {type(outcome).__name__}: {outcome}") from outcome
        if outcome is False:
            raise IngestError(f"{self.name} did not take {event.event.value} {event.key}")

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
        self._subscribers.append(_Subscriber(f"{name}#{same + 1}" if same else name, handler, {event}))

    def unsubscribe(self, event: MediaEvent, handler: Hears) -> None:
        for one in self._subscribers:
            if one.hears is handler:
                one.kinds.discard(event)

    async def bring(self, app: App, target: Target, job: Job) -> list[str]:
        """Delivers what happened; answers in words who did not take it. Raises StoreError."""
        if not self._subscribers:
            return []
        await _announce(app, target, job)
        words = await asyncio.gather(*(_delivered(app, one) for one in self._subscribers))
        await app.store.outbox.prune([one.name for one in self._subscribers])
        return [word for word in words if word]


async def _delivered(app: App, one: _Subscriber) -> str:
    delivery = Delivery(one, app.store.outbox, app.clock, kinds=one.kinds)
    try:
        while await delivery.once():
            pass
    except IngestError as error:
        return f"events: {error.message}"
    return ""


async def _announce(app: App, target: Target, job: Job) -> None:
    """What this job has landed, into the outbox; then the job itself."""
    after: SourcePath | None = None
    while rows := await app.store.manifest.between(target.manifest, after, None, PAGE_ROWS):
        after = rows[-1].path
        await app.store.outbox.put([await _synced(app, target, row) for row in rows if row.landed_at_ns >= job.start_ns])
    kind = EventKind.SYNC_COMPLETE if job.result and job.result.success else EventKind.SYNC_FAILED
    await app.store.outbox.put([NewEvent(kind, target.name, app.clock.now_ns(), job.id, json.dumps(answers.job(job)))])


async def _synced(app: App, target: Target, row: ManifestRow) -> NewEvent:
    known = await app.store.media.info(target.manifest, row.path)
    home = bytes(target.home.dest / row.home.decode("utf-8", "surrogateescape"))
    body = FileBody(
        path=shown(row.path),
        home=shown(home),
        size=row.stat.size_bytes,
        sha256=row.sha256.hex(),
        mtime_ns=row.stat.mtime_ns,
        landed_at_ns=row.landed_at_ns,
        manifest=target.manifest,
        incomplete=row.incomplete,
        media=known.info if known else None,
        path_b64=b64_if_needed(row.path),
        home_b64=b64_if_needed(home),
    )
    return NewEvent(EventKind.FILE_SYNCED, target.name, row.landed_at_ns, shown(row.home), written(body))
