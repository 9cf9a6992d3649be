"""Bandwidth: how many bytes a second. Several limits may lie over one stream, and each can be changed while it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from forged.kit.budget import Room
from forged.kit.clock import Clock

BURST_S = 0.25
"""How long an idle limit saves up: bridges late wake-ups of a busy loop, and stays under 3 % of the figure over ten seconds."""

SLICE_S = 0.05
"""A large wish is paid in slices of this much time, so that a small one waits for one slice of each other, not for all of it."""

LEAST_SLICE_BYTES = 4096
"""Below that the waking costs more than the fairness is worth."""

SHORTEST_NAP_S = 0.001
"""What no event loop can time better; a debt of less than a rounding error must not keep it spinning."""

LONGEST_NAP_S = 0.25
"""A waiter looks again after that, since the rate may have been changed."""


class RateLimit:
    """A token bucket. Fair: waiters pay one slice each in turn."""

    def __init__(self, clock: Clock, bytes_per_s: int | None = None) -> None:
        """`bytes_per_s` None = off, that is without a bound."""
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._saved_bytes = 0.0
        self._seen_s = clock.monotonic_s()
        self._turn = asyncio.Lock()

    @property
    def bytes_per_s(self) -> int | None:
        return self._bytes_per_s

    def change(self, bytes_per_s: int | None) -> None:
        """Another rate from now on, for those who wait already too. ValueError unless positive or None."""
        if bytes_per_s is not None and bytes_per_s <= 0:
            raise ValueError("a rate is positive; to stop a target, pause it")
        self._refill()
        self._saved_bytes = 0.0  # a debt made at the old rate would take for ever at a much lower one
        self._bytes_per_s = bytes_per_s

    async def pay(self, size_bytes: int) -> None:
        """Returns when a slice may go. The bucket may go below zero by one slice; the next in turn waits that out."""
        if self._bytes_per_s is None:
            return
        async with self._turn:
            while self._bytes_per_s is not None:
                self._refill()
                if self._saved_bytes >= 0:
                    self._saved_bytes -= size_bytes
                    return
                debt_s = -self._saved_bytes / self._bytes_per_s
                await self._clock.sleep(min(max(debt_s, SHORTEST_NAP_S), LONGEST_NAP_S))

    def _refill(self) -> None:
        now_s = self._clock.monotonic_s()
        rate = self._bytes_per_s or 0
        self._saved_bytes = min(self._saved_bytes + (now_s - self._seen_s) * rate, rate * BURST_S)
        self._seen_s = now_s


async def pay_all(limits: Sequence[RateLimit], size_bytes: int) -> None:
    """Pays for `size_bytes` at all of these limits, slice by slice: the tightest one sets the pace and none idles meanwhile."""
    left = size_bytes
    while left > 0:
        rates = [limit.bytes_per_s for limit in limits if limit.bytes_per_s is not None]
        if not rates:
            return
        size = min(left, max(LEAST_SLICE_BYTES, int(min(rates) * SLICE_S)))
        for limit in limits:
            await limit.pay(size)
        left -= size


class LimitedRoom:
    """A Room behind limits: waits for the limits first, so that a slow target does not hold room that others could use."""

    def __init__(self, room: Room, *limits: RateLimit) -> None:
        self._room, self._limits = room, limits

    async def take(self, size_bytes: int) -> None:
        await pay_all(self._limits, size_bytes)
        await self._room.take(size_bytes)

    def give(self, size_bytes: int) -> None:
        """Gives back the room. Bandwidth that was paid for and not used is gone: only broken transfers do that."""
        self._room.give(size_bytes)
