"""Events for the tests of this room."""

from __future__ import annotations

import json

from forged.model.events import Event, EventId, EventKind

AT_NS = 1_700_000_000_250_000_000


def event(
    id: int = 1, kind: EventKind = EventKind.FILE_SYNCED, *, target: str = "studio", key: str = "a.png", **body: object
) -> Event:
    """As the outbox gives it."""
    return Event(EventId(id), kind, target, AT_NS, key, json.dumps(body))


def lost(id: int = 1, **body: object) -> Event:
    """An alarm."""
    told = {"message": "vast 312 stopped answering, 40 files are not home", "hint": "look at its console"}
    return event(id, EventKind.TARGET_LOST, key="studio", **{**told, **body})
