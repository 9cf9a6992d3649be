"""Bytes in flight: a bound for all, shared fairly. And `Room`, the small face that a sink sees of bounds of any kind."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary


class Room(Protocol):
    """Somewhere bytes need leave to go: a share of a budget, a bandwidth limit, or both."""

    async def take(self, size_bytes: int) -> None:
        """Returns when that many bytes may be held. Cancelled, it leaves nothing taken."""

    def give(self, size_bytes: int) -> None:
        """They are no longer held."""


class Unbounded:
    """Room without a bound."""

    async def take(self, size_bytes: int) -> None:
        """Returns at once."""

    def give(self, size_bytes: int) -> None:
        """Nothing to do."""


@dataclass(slots=True, eq=False)
class _Waiter:
    size_bytes: int
    granted: asyncio.Future[None]
    number: int  # who asked first, over all shares


class Budget:
    """A number of bytes that many may hold together.

    Fair: first come, first served within a share; between shares that wait, the one holding least goes first, and of equals the
    one that waits longest. Nobody is passed over because its wish is large: the next in turn waits until it fits, and the others
    behind it. A wish larger than the whole budget is granted when nothing else is held, so that it cannot wait for ever.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._held_bytes = 0
        self._numbers = 0
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._waiting: set[Share] = set()

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
        self._grant()

    def share(self, name: str) -> Share:
        """The share of that name: the same one for as long as somebody keeps it."""
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(self)
        return share

    def _fits(self, size_bytes: int) -> bool:
        return self._held_bytes == 0 or self._held_bytes + size_bytes <= self._total_bytes

    def _grant(self) -> None:
        while self._waiting:
            share = min(self._waiting, key=lambda s: (s.held_bytes, s._queue[0].number))
            if not self._fits(share._queue[0].size_bytes):
                return
            waiter = share._queue.popleft()
            if not share._queue:
                self._waiting.discard(share)
            self._hold(share, waiter.size_bytes)
            waiter.granted.set_result(None)

    def _hold(self, share: Share, size_bytes: int) -> None:
        share._held_bytes += size_bytes
        self._held_bytes += size_bytes


class Share:
    """One party's part of a budget; made by `Budget.share`. A Room."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held_bytes = 0
        self._queue: deque[_Waiter] = deque()

    @property
    def held_bytes(self) -> int:
        """What this share holds now."""
        return self._held_bytes

    async def take(self, size_bytes: int) -> None:
        """Returns when `size_bytes` are held. Cancelled, it leaves nothing taken."""
        budget = self._budget
        if not budget._waiting and budget._fits(size_bytes):
            budget._hold(self, size_bytes)
            return
        budget._numbers += 1
        waiter = _Waiter(size_bytes, asyncio.get_running_loop().create_future(), budget._numbers)
        self._queue.append(waiter)
        budget._waiting.add(self)
        budget._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken. ValueError when more is given than held: the books of someone are wrong."""
        if size_bytes > self._held_bytes:
            raise ValueError(f"{size_bytes} bytes given back, but only {self._held_bytes} are held")
        self._budget._hold(self, -size_bytes)
        self._budget._grant()

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter in self._queue:
            self._queue.remove(waiter)
            if not self._queue:
                self._budget._waiting.discard(self)
            self._budget._grant()  # it may have been the one that the others waited behind
        else:  # granted in the same moment
            self.give(waiter.size_bytes)
