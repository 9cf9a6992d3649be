"""What goes between the daemon and the process of a Python handler: a length, and that many bytes of JSON, both ways."""

from __future__ import annotations

from msgspec import Struct

LENGTH_BYTES = 8
"""An unsigned big-endian number."""

MOST_ANSWER_BYTES = 1 << 16


class Opening(Struct, frozen=True):
    """The first letter to a new process. `handler`: `module:Class`, or an entry point's name."""

    handler: str


class Letter(Struct, frozen=True):
    """One event, as model.events.Event."""

    id: int
    kind: str
    target: str
    at_ns: int
    key: str
    body: str


class Asked(Struct, frozen=True):
    """Take these, in this order."""

    number: int
    events: tuple[Letter, ...]


class Answered(Struct, frozen=True):
    """To `number` (0: to the opening). `error`: in words for people why they were not taken; None: they were."""

    number: int
    error: str | None = None
    about: tuple[int, ...] = ()
    """The ids of the events that it was busy with."""


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH_BYTES, "big") + content
