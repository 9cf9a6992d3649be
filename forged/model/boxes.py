"""What a discovery says about the machines there are: boxes, by an id that outlives their addresses."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NewType

from forged.model.target import SourceAddress

BoxId = NewType("BoxId", str)
"""The provider's own id of an instance, unique within one discovery. The manifest and the pinned host key belong to it, since a
box that is stopped and started comes back under another address. A word of a provider: bounded and checked where it is read."""


class BoxState(enum.Enum):
    """What a box is doing, as far as it matters to who wants its files."""

    RUNNING = "running"
    STARTING = "starting"  # it has no address yet, or its SSH server is not up
    STOPPED = "stopped"  # its disk is kept, and nobody can reach it: not gone
    UNKNOWN = "unknown"  # the provider itself does not know (offline, no heartbeat)


@dataclass(frozen=True, slots=True)
class Box:
    """One machine that a provider knows. What a provider does not say is None, and never guessed."""

    id: BoxId
    state: BoxState
    addresses: tuple[SourceAddress, ...] = ()
    """Where it may be reached, the best first, without a path; empty while it has none."""
    label: str | None = None
    """What the owner called it there."""
    end_ns: int | None = None
    """When it ends by itself, as forged's clock counts."""
    why: str = ""
    """Why there is no address, in words for people, and what to do about it."""


@dataclass(frozen=True, slots=True)
class KnownBox:
    """What is remembered of a box, over restarts: how it was last seen, and what it still had."""

    box: Box
    missed: int = 0
    """Whole answers in a row that it was not in."""
    missing_since_ns: int | None = None
    """When the first of them came."""
    gone_since_ns: int | None = None
    """When it was decided that there is no such box any more."""
    left_files: int = 0
    """Files known there that were not home, at the last look."""
    left_bytes: int = 0
    unseen: bool = False
    """It may hold what nobody has seen: it never came to a whole look, or it refused the last one."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A whole and successful answer: all boxes there are at that moment. No answer is an error, never an empty sighting."""

    at_ns: int
    boxes: tuple[Box, ...]
