"""`ingest.*`: what handlers did not take, and bringing them again what is home."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forged.control.errors import InvalidParams
from forged.control.peers import Level
from forged.control.registry import Registry
from forged.daemon import answers
from forged.daemon.couriers import Courier, Couriers
from forged.daemon.cursors import bad_cursor
from forged.daemon.replays import Replays
from forged.model import rpc
from forged.model.errors import ForgedError
from forged.model.events import EventId
from forged.model.handing import SetAside
from forged.model.paths import shown
from forged.store.base import Outbox

PAGE_EVENTS = 500
"""In one page; fewer, where their names are long."""


LARGEST_ID = 2**63 - 1
"""What the store's integers hold."""


class TakesNoFiles(ForgedError):
    """This handler hears of no files."""

    default_hint = "its `events` in forged.toml leave out file_synced"


class IngestMethods:
    """The methods of this group; `register` makes them callable."""

    def __init__(self, couriers: Couriers, replays: Replays, outbox: Outbox) -> None:
        self._couriers, self._replays, self._outbox = couriers, replays, outbox

    def register(self, registry: Registry) -> None:
        registry.add("ingest.list", self.list_events, level=Level.LOOK)
        registry.add("ingest.retry", self.retry, level=Level.STEER, finishes=True)
        registry.add("ingest.drop", self.drop, level=Level.STEER, finishes=True)
        registry.add("ingest.replay", self.replay, level=Level.STEER, finishes=True)

    async def list_events(self, handler: str | None = None, limit: int = 100, cursor: str | None = None) -> rpc.IngestPage:
        """The handlers, and event by event what was set aside for them: for one, or for all."""
        couriers = [self._couriers.find(handler)] if handler is not None else self._couriers.all
        await self._couriers.count()
        replaying = await self._replays.under_way()
        events, following = await self._page(couriers, max(1, min(limit, PAGE_EVENTS)), cursor)
        told = [{**answers.handler(one), "replaying": one.name in replaying} for one in couriers]
        return {"success": True, "handlers": told, "events": events, "next_cursor": following}  # type: ignore[typeddict-item]

    async def _page(self, couriers: Sequence[Courier], most: int, cursor: str | None) -> tuple[list[rpc.AsideEvent], str | None]:
        """One that is not full ends at its handler: the next one is of the next."""
        at, after = _place(cursor, couriers)
        for number, courier in enumerate(couriers[at:], at):
            found = await self._outbox.set_aside(courier.name, after, most)
            if found:
                events = answers.fitting([_event(courier.name, one) for one in found])
                whole = len(events) == len(found) < most
                ends = whole and number + 1 == len(couriers)
                following = f"{number + 1}:0" if whole else f"{number}:{events[-1]['id']}"
                return events, None if ends else following
            after = EventId(0)
        return [], None

    async def retry(self, handler: str, events: list[int] | None = None) -> rpc.IngestSteered:
        """Brings what was set aside again, at once; or only these events, with all of the same file."""
        courier = self._couriers.find(handler)
        count = await self._outbox.retry(handler, _ids(events))
        courier.delivery.hurry()
        none = f"nothing was set aside; {handler} is tried at once"
        return _steered(count, lambda words: f"{words} brought to {handler} again", none)

    async def drop(self, handler: str, events: list[int] | None = None) -> rpc.IngestSteered:
        """Gives up what waits for a person; or only these events. The handler never gets them, and cleanup waits no more."""
        courier = self._couriers.find(handler)
        count = await self._outbox.drop(handler, _ids(events))
        courier.delivery.hurry()
        return _steered(count, lambda words: f"{words} dropped: {handler} never gets them")

    async def replay(self, handler: str) -> rpc.IngestSteered:
        """Brings all that is home of its targets to this handler again, and to no other."""
        courier = self._couriers.find(handler)
        if not courier.settings.takes_files:
            raise TakesNoFiles
        files = await self._replays.ask(courier)
        message = f"{files:,} {'file is' if files == 1 else 'files are'} brought to {handler} again, beside what is new"
        return {"success": True, "message": message, "events": files}


def _event(handler: str, one: SetAside) -> rpc.AsideEvent:
    event = one.event
    return {
        "id": event.id,
        "handler": handler,
        "kind": event.kind.value,
        "target": event.target,
        "at": answers.time_text(event.at_ns),
        "key": shown(_raw(event.key)),
        "tries": one.tries,
        "error": answers.clipped(one.error),
        "since": answers.time_text(one.since_ns),
        "set_aside": one.due_ns is None,
    }


def _raw(key: str) -> bytes:
    """As a path at home is written (sync/publish.key_of)."""
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it is none
        return key.encode("utf-8", "backslashreplace")


def _ids(events: Sequence[int] | None) -> list[EventId] | None:
    """Raises InvalidParams."""
    if events is None:
        return None
    if not all(0 < id <= LARGEST_ID for id in events):
        raise InvalidParams(hint="`events` are ids, as `ingest.list` shows them")
    return [EventId(id) for id in events]


def _steered(count: int, told: Callable[[str], str], none: str = "there is nothing of the kind") -> rpc.IngestSteered:
    words = f"{count:,} {'event is' if count == 1 else 'events are'}"
    return {"success": True, "message": told(words) if count else none, "events": count}


def _place(cursor: str | None, couriers: Sequence[Courier]) -> tuple[int, EventId]:
    """Raises InvalidParams."""
    try:
        number, id = (int(part) for part in (cursor or "0:0").split(":"))
        if not 0 <= id <= LARGEST_ID:
            raise ValueError("no event has such an id")
    except ValueError as e:
        raise bad_cursor() from e
    return max(0, min(number, len(couriers))), EventId(id)
