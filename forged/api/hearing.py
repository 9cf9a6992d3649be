"""One handler in this process, as ingest/delivery brings it events: a batch is what its own methods make of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

from forged.ingest.base import BATCH
from forged.ingest.interface import MediaEventData, MediaIngestInterface, event_data
from forged.model.errors import IngestError
from forged.model.events import Event, EventId, EventKind

Hears: TypeAlias = MediaIngestInterface | Callable[[MediaEventData], object]
"""A handler: an object of the interface, or a function, plain or async. `False` says: not taken."""

WITHIN: ContextVar[bool] = ContextVar("forged.api.hearing.WITHIN", default=False)
"""Whether this task, or one that began it, is user code that is being told of something: it must not wait for a delivery."""


@dataclass(eq=False)
class Hearing:
    """A Handler (ingest/base) for one delivery out of one memory: ids of two memories are not the same events."""

    name: str
    hears: Hears
    batch: int = BATCH
    taken: set[EventId] = field(default_factory=set)

    async def deliver(self, events: Sequence[Event]) -> None:
        """What it took of events that are brought again in parts, since one failed, does not come to it twice."""
        for some in self._together([event_data(event) for event in events if event.id not in self.taken]):
            await self._take(some)
            self.taken.update(EventId(event.id) for event in some)

    def _together(self, events: Sequence[MediaEventData]) -> Iterator[list[MediaEventData]]:
        """Files that landed one after the other, for who takes batches; else each alone: that tells which one failed."""
        for kind, some in groupby(events, key=lambda event: event.event):
            if kind is EventKind.FILE_SYNCED and self._takes_batches():
                yield list(some)
            else:
                yield from ([event] for event in some)

    def _takes_batches(self) -> bool:
        inherited = getattr(type(self.hears), "on_batch_synced", None) is MediaIngestInterface.on_batch_synced
        return isinstance(self.hears, MediaIngestInterface) and not inherited

    async def _take(self, some: Sequence[MediaEventData]) -> None:
        about = tuple(event.id for event in some)
        token = WITHIN.set(True)
        try:  # As a value: whatever user code raises, it is trouble of this handler alone.
            [outcome] = await asyncio.gather(self._call(some), return_exceptions=True)
        finally:
            WITHIN.reset(token)
        if isinstance(outcome, BaseException):
            raise IngestError(f"{self.name}: {type(outcome).__name__}: {outcome}", about=about) from outcome
        if outcome is False:
            what = f"{some[0].event.value} {some[0].key}" if len(some) == 1 else f"all of {len(some)} files"
            raise IngestError(f"{self.name} did not take {what}", about=about)

    async def _call(self, some: Sequence[MediaEventData]) -> object:
        """False: not taken."""
        event, answer = some[0], self._asked(some)
        answer = await answer if inspect.isawaitable(answer) else answer
        is_count = isinstance(answer, int) and not isinstance(answer, bool)
        if is_count and event.event is EventKind.FILE_SYNCED and self._takes_batches():
            return isinstance(answer, int) and answer >= len(some)
        return answer

    def _asked(self, some: Sequence[MediaEventData]) -> object:
        hears, event = self.hears, some[0]
        if not isinstance(hears, MediaIngestInterface):
            return hears(event)
        match event.event:
            case EventKind.FILE_SYNCED:
                return hears.on_batch_synced(some) if self._takes_batches() else hears.on_file_synced(event)
            case EventKind.FILE_REMOVED:
                return hears.on_file_removed(event)
            case EventKind.SYNC_COMPLETE:
                return hears.on_sync_complete(str(event.body.get("sync_id") or event.key), event.body)
            case _:
                return hears.on_event(event)

    async def try_out(self) -> str:
        """It is in this process: nothing can be tried without an event."""
        return "in this process"

    async def aclose(self) -> None:
        """It is the user's."""
