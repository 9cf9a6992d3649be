"""Events: facts in the past tense that ingest handlers receive, at least once, in order for one file."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NewType

EventId = NewType("EventId", int)


class EventKind(enum.Enum):
    """What happened."""

    FILE_SYNCED = "file_synced"
    FILE_REMOVED = "file_removed"
    SYNC_COMPLETE = "sync_complete"
    SYNC_FAILED = "sync_failed"
    TARGET_LOST = "target_lost"
    TARGET_REFUSED = "target_refused"
    TARGET_BACK = "target_back"
    INSTANCE_ENDING = "instance_ending"
    INSTANCE_EXTENDED = "instance_extended"
    DISCOVERY_FAILED = "discovery_failed"
    DISCOVERY_BACK = "discovery_back"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event on its way into the outbox, which gives it its id.

    `body` is the text of a JSON object, so that it crosses any border unchanged. Two of its keys are for people, and messengers
    show nothing else of it: `message` (what happened, a line) and `hint` (what to do about it).
    """

    kind: EventKind
    target: str
    at_ns: int
    key: str
    """Events of one key are delivered in order; the home path for events of a file."""
    body: str


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the outbox. Ids are stable and ascending, so a handler can tell a repetition."""

    id: EventId
    kind: EventKind
    target: str
    at_ns: int
    key: str
    body: str
