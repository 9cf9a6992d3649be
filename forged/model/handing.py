"""Handing over, as nouns: events that a handler failed on, what it is to be brought again, and what it has of the files at home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forged.model.events import Event
from forged.model.manifest import ManifestName
from forged.model.paths import SourcePath


@dataclass(frozen=True, slots=True)
class SetAside:
    """An event out of the stream of one handler, which failed on it, or on an earlier one of the same key."""

    event: Event
    tries: int
    """How often it was brought alone and not taken. 0: it has not been brought, and waits behind an earlier one of its key."""
    error: str
    """In words for people, of the last try; empty where there was none."""
    since_ns: int
    due_ns: int | None
    """When it is tried again. None: not by itself, it waits for a person."""


@dataclass(frozen=True, slots=True)
class AsideCount:
    """How many events of a handler are out of its stream."""

    retried: int = 0
    """Tried again by themselves, or behind one that is."""
    set_aside: int = 0
    """Waiting for a person."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What is home of a manifest is being brought to one handler again."""

    handler: str
    manifest: ManifestName
    after: SourcePath | None
    """The last path whose event is in the outbox; empty before the first. None: all of them are."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What some handlers have taken of some files of a manifest, at one moment of the store."""

    since_ns: Mapping[str, int] = field(default_factory=dict)
    """By handler: what landed at this time or later was put into the outbox for it. None of a handler that is not there."""
    replayed: Mapping[str, SourcePath | None] = field(default_factory=dict)
    """By handler: `Replay.after`, of those to which this manifest is or was brought again."""
    waiting: frozenset[tuple[str, str]] = frozenset()
    """Handler and key of events in the outbox that it has not taken."""
    aside: frozenset[tuple[str, str]] = frozenset()
    """Handler and key of events that are set aside."""
    to_examine: frozenset[SourcePath] = frozenset()
    """Files whose current version waits to be looked into: its event comes after that."""
