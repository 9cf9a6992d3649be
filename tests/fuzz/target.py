"""What a fuzz target is: something that reads bytes from outside, and what must hold whatever they are."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from typing import Protocol, cast

Poke = Callable[[bytes], bytes]
"""Changes some bytes somewhere: a fuzzer's own way, or `Poker`."""

MOST_BYTES = 65_536
"""Of one input. The bounds of the code under test are reached with fewer, or have tests of their own."""


NAMES = ("Wire", "Blocks", "Conversation", "ConfigFile", "Control")
"""Every target, by the name of its class; each has a module of its own."""


class Target(Protocol):
    """One reader of foreign bytes. Used for many inputs, one after the other; then `close`."""

    def seeds(self) -> list[bytes]:
        """A few small honest inputs to begin with, made by code. `check` accepts each."""

    def words(self) -> list[bytes]:
        """What is worth putting into inputs: names, limits, beginnings of things."""

    def mutated(self, data: bytes, chance: random.Random, poke: Poke) -> bytes:
        """Another input that knows how inputs are built: lengths fit, compressed things are compressed."""

    def check(self, data: bytes) -> bool:
        """Reads `data` and looks at what came of it; whether it was believed to its end.

        Whatever is raised is a broken promise: AssertionError, or an error of a type that nobody declared.
        """

    def close(self) -> None: ...


def made(name: str) -> Target:
    """The target of this name. Its module is loaded only now, so that a fuzzer can watch its branches."""
    module = importlib.import_module(f"tests.fuzz.{name.lower()}")
    return cast("Target", getattr(module, name)())


class Poker:
    """Plain mutations, for where no fuzzer guides: the same ones for the same `chance`."""

    def __init__(self, chance: random.Random, words: list[bytes]) -> None:
        self._chance, self._words = chance, words or [b"\0"]

    def __call__(self, data: bytes) -> bytes:
        chance = self._chance
        at, size = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 4, 8, 100))
        match chance.randrange(6):
            case 0:  # other bytes
                return data[:at] + chance.randbytes(min(size, len(data) - at)) + data[at + size :]
            case 1:  # an edge of a number
                edge = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
                return data[:at] + bytes([edge]) * min(size, len(data) - at) + data[at + size :]
            case 2:  # fewer
                return data[:at] + data[at + size :]
            case 3:  # more
                return data[:at] + chance.randbytes(size) + data[at:]
            case 4:  # again
                return data[:at] + data[at : at + size] + data[at:]
            case _:
                return data[:at] + chance.choice(self._words) + data[at:]


def rearranged(items: list[bytes], chance: random.Random, poke: Poke) -> list[bytes]:
    """One item left out, doubled, moved, or poked."""
    if not items:
        return [poke(b"")]
    items, at = list(items), chance.randrange(len(items))
    match chance.randrange(8):
        case 0:
            del items[at]
        case 1:
            items.insert(chance.randrange(len(items) + 1), items[at])
        case 2:
            items.insert(chance.randrange(len(items)), items.pop(at))
        case _:
            items[at] = poke(items[at])
    return items
