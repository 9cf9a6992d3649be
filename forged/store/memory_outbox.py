"""The toy twin of the outbox and of what handlers have taken: see `memory`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, count

from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.model.handing import AsideCount, Handed, Replay, SetAside
from forged.model.manifest import ManifestName
from forged.model.paths import SourcePath
from forged.store.base import MOST_EVENTS_BYTES
from forged.store.ingests import ALL, enlisted


class MemoryOutbox:
    """See store/base.Outbox."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.events: list[tuple[Event, str | None]] = []
        """Each with the only handler that gets it, if there is one."""
        self.places: dict[str, int] = {}
        self.aside: dict[str, dict[EventId, SetAside]] = {}
        self._ids = count(1)

    def append(self, events: Sequence[NewEvent], handler: str | None = None) -> None:
        self.events += [(Event(EventId(next(self._ids)), e.kind, e.target, e.at_ns, e.key, e.body), handler) for e in events]

    async def put(self, events: Sequence[NewEvent]) -> None:
        self._check()
        self.append(events)

    async def after(self, handler: str, limit: int) -> Sequence[Event]:
        waiting = self._waiting(handler)[:limit]
        before = accumulate((len(e.body) for e in waiting), initial=0)
        return [e for e, size_bytes in zip(waiting, before, strict=False) if size_bytes <= MOST_EVENTS_BYTES]

    async def waiting(self, handler: str) -> int:
        return len(self._waiting(handler))

    def _waiting(self, handler: str) -> list[Event]:
        self._check()
        place = self.places.get(handler, 0)
        return [e for e, only in self.events if e.id > place and only in (None, handler)]

    async def acknowledge(self, handler: str, upto: EventId) -> None:
        self._check()
        self.places[handler] = max(upto, self.places.get(handler, 0))

    async def prune(self, handlers: Sequence[str]) -> int:
        self._check()
        before, places = len(self.events), {handler: self.places.get(handler, 0) for handler in handlers}

        def waits(event: Event, only: str | None) -> bool:
            return event.id > (min(places.values()) if only is None else places.get(only, event.id))

        self.events = [(event, only) for event, only in self.events if places and waits(event, only)]
        self.aside = {handler: aside for handler, aside in self.aside.items() if handler in places}
        return before - len(self.events)

    async def settle(
        self, handler: str, *, upto: EventId | None = None, taken: Collection[EventId] = (), aside: Sequence[SetAside] = ()
    ) -> None:
        self._check()
        self.places[handler] = max(upto or 0, self.places.get(handler, 0))
        kept = {id: one for id, one in self._of(handler).items() if id not in taken} | {one.event.id: one for one in aside}
        waits = {one.event.key for one in kept.values() if one.due_ns is None}
        self.aside[handler] = {id: replace(one, due_ns=None) if one.event.key in waits else one for id, one in sorted(kept.items())}

    def _of(self, handler: str) -> dict[EventId, SetAside]:
        return self.aside.get(handler, {})

    async def set_aside(self, handler: str, after: EventId, limit: int) -> Sequence[SetAside]:
        self._check()
        return [one for id, one in self._of(handler).items() if id > after][:limit]

    def _heads(self, handler: str) -> list[SetAside]:
        heads: dict[str, SetAside] = {}
        for one in self._of(handler).values():
            heads.setdefault(one.event.key, one)
        return [one for one in heads.values() if one.due_ns is not None]

    async def due(self, handler: str, now_ns: int, limit: int) -> Sequence[SetAside]:
        self._check()
        return [one for one in self._heads(handler) if one.due_ns is not None and one.due_ns <= now_ns][:limit]

    async def next_due(self, handler: str) -> int | None:
        self._check()
        return min((one.due_ns for one in self._heads(handler) if one.due_ns is not None), default=None)

    async def set_aside_keys(self, handler: str, keys: Collection[str]) -> frozenset[str]:
        self._check()
        return frozenset(one.event.key for one in self._of(handler).values()) & frozenset(keys)

    async def count_aside(self, handler: str) -> AsideCount:
        self._check()
        given_up = sum(one.due_ns is None for one in self._of(handler).values())
        return AsideCount(len(self._of(handler)) - given_up, given_up)

    def _keys(self, handler: str, ids: Collection[EventId] | None) -> set[str]:
        return {one.event.key for id, one in self._of(handler).items() if ids is None or id in ids}

    async def retry(self, handler: str, ids: Collection[EventId] | None = None) -> int:
        self._check()
        keys = self._keys(handler, ids)
        again = {id: replace(one, due_ns=0, tries=0) for id, one in self._of(handler).items() if one.event.key in keys}
        self.aside[handler] = self._of(handler) | again
        return len(again)

    async def drop(self, handler: str, ids: Collection[EventId] | None = None) -> int:
        self._check()
        mine, keys = self._of(handler), self._keys(handler, ids) if ids is not None else set[str]()
        gone = {id for id, one in mine.items() if (one.due_ns is None if ids is None else id in ids)}
        self.aside[handler] = {
            id: replace(one, due_ns=0) if one.event.key in keys else one for id, one in mine.items() if id not in gone
        }
        return len(gone)


class MemoryIngests:
    """See store/base.Ingests. `newest`: when the last file landed; `queued`: what waits to be looked into."""

    def __init__(
        self,
        check: Callable[[], None],
        outbox: MemoryOutbox,
        newest: Callable[[], int],
        queued: Callable[[ManifestName], Collection[SourcePath]],
    ) -> None:
        self._check, self._outbox, self._newest, self._queued = check, outbox, newest, queued
        self._takers: dict[tuple[str, str], int] = {}
        self._replays: dict[tuple[str, ManifestName], Replay] = {}

    async def enlist(self, takes: Mapping[str, Collection[str]], now_ns: int) -> None:
        self._check()
        begins_ns = max(now_ns, self._newest() + 1)
        self._takers = {one: begins_ns if ns is None else ns for one, ns in enlisted(self._takers, takes).items()}
        self._replays = {one: replay for one, replay in self._replays.items() if one[0] in takes}

    async def handed(
        self, name: ManifestName, files: Mapping[SourcePath, str], handlers: Sequence[str], of: Collection[str]
    ) -> Handed:
        self._check()
        since: dict[str, int] = {}
        for (handler, one), since_ns in self._takers.items():
            if handler in handlers and one in (ALL, *of):
                since[handler] = min(since_ns, since.get(handler, since_ns))
        replayed = {one.handler: one.after for one in self._replays.values() if one.manifest == name and one.handler in handlers}
        keys, waiting = set(files.values()), set[tuple[str, str]]()
        for event, only in self._outbox.events:
            if event.key in keys and event.kind is EventKind.FILE_SYNCED:
                places = {handler: self._outbox.places.get(handler, 0) for handler in handlers if only in (None, handler)}
                waiting |= {(handler, event.key) for handler, place in places.items() if event.id > place}
        aside = {(handler, key) for handler in handlers for key in await self._outbox.set_aside_keys(handler, keys)}
        return Handed(since, replayed, frozenset(waiting), frozenset(aside), frozenset(self._queued(name)) & files.keys())

    async def replays(self) -> Sequence[Replay]:
        self._check()
        return [one for _, one in sorted(self._replays.items()) if one.after is not None]

    async def replayed(self, replay: Replay, events: Sequence[NewEvent] = ()) -> None:
        self._check()
        self._replays[replay.handler, replay.manifest] = replay
        self._outbox.append(events, replay.handler)
