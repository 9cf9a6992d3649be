"""Bytes in flight: a bound for all, shared fairly. And `Room`, the small face that a sink sees of bounds of any kind."""

from __future__ import annotations

import sys
from typing import Protocol
from weakref import WeakValueDictionary

from forged.kit.turns import Turns

KEPT_FREE = 4
"""Who holds something leaves free a quarter of what he then holds. So one may take four fifths of all, and whoever comes next finds
room, even while the lines of all that came before hang; with dynamic thresholds switches share their buffers in the same way
(Choudhury and Hahne 1998)."""

ANY_PORTION_BYTES = sys.maxsize
"""A portion without a bound."""


class Room(Protocol):
    """Somewhere bytes need leave to go: a share of a budget, a bandwidth limit, or both."""

    @property
    def portion_bytes(self) -> int:
        """What to take at once at most, if a limit is to be kept smoothly. More is granted all the same, later and in one lump."""

    async def take(self, size_bytes: int) -> None:
        """Returns when that many bytes may be held. Cancelled, it leaves nothing taken."""

    def give(self, size_bytes: int) -> None:
        """They are no longer held."""


class Unbounded:
    """Room without a bound."""

    portion_bytes = ANY_PORTION_BYTES

    async def take(self, size_bytes: int) -> None:
        """Returns at once."""

    def give(self, size_bytes: int) -> None:
        """Nothing to do."""


class Budget(Turns["Share"]):
    """A number of bytes that many may hold together.

    Fair: first come, first served within a share; between shares that wait, the one holding least goes first, and of equals the
    one that waits longest. Nobody is passed over because its wish is large: the next in turn waits until it fits, and the others
    behind it. A wish larger than the whole budget is granted when nothing else is held, so that it cannot wait for ever. No share
    ever takes the last of it: see KEPT_FREE.
    """

    def __init__(self, total_bytes: int) -> None:
        super().__init__()
        self._total_bytes = total_bytes
        self._held_bytes = 0
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()

    @property
    def held_bytes(self) -> int:
        """What all shares hold now."""
        return self._held_bytes

    @property
    def total_bytes(self) -> int:
        return self._total_bytes

    def resize(self, total_bytes: int) -> None:
        """Changes the bound. What is held above it stays held; nothing more is granted until it fits again."""
        self._total_bytes = total_bytes
        self._serve()

    def share(self, name: str) -> Share:
        """The share of that name: the same one for as long as somebody keeps it."""
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(self)
        return share

    def _rank(self, party: Share) -> int:
        return party.held_bytes

    def _may_go(self, party: Share, size_bytes: int) -> bool:
        free_bytes = self._total_bytes - self._held_bytes - size_bytes
        is_modest = party.held_bytes == 0 or party.held_bytes + size_bytes <= KEPT_FREE * free_bytes
        return self._held_bytes == 0 or (free_bytes >= 0 and is_modest)

    def _enter(self, party: Share, size_bytes: int) -> None:
        party._held_bytes += size_bytes
        self._held_bytes += size_bytes

    def _give_back(self, party: Share, size_bytes: int) -> None:
        self._enter(party, -size_bytes)
        self._serve()


class Share:
    """One party's part of a budget; made by `Budget.share`. A Room."""

    portion_bytes = ANY_PORTION_BYTES

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """What this share holds now."""
        return self._held_bytes

    async def take(self, size_bytes: int) -> None:
        """Returns when `size_bytes` are held. Cancelled, it leaves nothing taken."""
        if not self._budget._goes_at_once(self, size_bytes):
            await self._budget._wait(self, size_bytes)

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken. ValueError when more is given than held: the books of someone are wrong."""
        if size_bytes > self._held_bytes:
            raise ValueError(f"{size_bytes} bytes given back, but only {self._held_bytes} are held")
        self._budget._give_back(self, size_bytes)
