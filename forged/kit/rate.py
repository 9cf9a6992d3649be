"""Bandwidth: how many bytes a second. Several limits may lie over one stream, and each can be changed while it is used."""

from __future__ import annotations

import asyncio
from typing import Protocol

from forged.kit.budget import ANY_PORTION_BYTES, Room
from forged.kit.clock import Clock
from forged.kit.turns import Turns

WINDOW_S = 10.0
"""Over so long the figure holds, within 5 %."""

FALLING_S = 0.5
"""How soon a change shows. What was asked for before and comes within this time is past when anybody hears of the change: the way
of a long line, and what three full windows take at 1 Gbit/s. What comes later is to be seen, and counts."""

SAVED_S = 0.1
"""How long an idle limit saves up: 1 % of the window."""

OWED_S = 0.4
"""How long it saves up for somebody who waits: bridges late wake-ups of a busy loop, and stays under 5 % of the window."""

PORTION_S = 0.05
"""Wishes of this much time or less: the last one of a window, which overdraws it, is 0.5 % of it at most."""

LEAST_PORTION_BYTES = 4096
"""Below that the waking costs more than the smoothness is worth."""

SHORTEST_NAP_S = 0.001
"""What no event loop can time better; a debt of less than a rounding error must not keep it spinning."""


class InFlight(Protocol):
    """What has paid and is still to come."""

    @property
    def held_bytes(self) -> int: ...


class Payer:
    """One party at a limit; made by `RateLimit.payer`."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._served_upto_bytes = 0

    async def pay(self, size_bytes: int) -> None:
        """Returns when that many bytes may go. Cancelled, it has paid nothing."""
        limit = self.limit
        if limit.bytes_per_s is not None and not limit._goes_at_once(self, size_bytes):
            await limit._wait(self, size_bytes)


class RateLimit(Turns[Payer]):
    """A token bucket that several share. A wish goes as a whole as soon as there is no debt; the debt it makes delays the next.

    Fair between payers, in bytes, whatever the number and the size of their wishes: the one that was served least goes first, where
    having been away earns nothing (start-time fair queueing: Goyal, Vin and Cheng 1996). Only wishes that are worth less than a
    millisecond, as fine as a loop keeps time, may come off worse.
    """

    def __init__(self, clock: Clock, bytes_per_s: int | None = None, *, behind: InFlight | None = None) -> None:
        """`bytes_per_s` None = off, that is without a bound. `behind`: what is in flight, as far as it goes through this limit."""
        super().__init__()
        self._clock = clock
        self._behind = behind
        self._bytes_per_s = bytes_per_s
        self._saved_bytes = 0.0
        self._seen_s = clock.monotonic_s()
        self._turn_bytes = 0
        self._changed_s: float | None = None
        """When the rate was changed, until what was asked for before is settled."""
        self._since_bytes = 0
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def bytes_per_s(self) -> int | None:
        return self._bytes_per_s

    @property
    def portion_bytes(self) -> int:
        """As `Room` says."""
        rate = self._bytes_per_s
        return ANY_PORTION_BYTES if rate is None else max(LEAST_PORTION_BYTES, int(rate * PORTION_S))

    def payer(self) -> Payer:
        """One more party."""
        return Payer(self)

    def change(self, bytes_per_s: int | None) -> None:
        """Another rate from now on, for those who wait already too. ValueError unless positive or None.

        What was asked for before and is still to come after FALLING_S comes out of the new rate, up to a window of it.
        """
        if bytes_per_s is not None and bytes_per_s <= 0:
            raise ValueError("a rate is positive; to stop a target, pause it")
        if bytes_per_s == self._bytes_per_s:
            return
        self._bytes_per_s = bytes_per_s
        self._changed_s = self._seen_s = self._clock.monotonic_s()
        self._saved_bytes, self._since_bytes = 0.0, 0
        self._serve()

    def _rank(self, party: Payer) -> int:
        return max(party._served_upto_bytes, self._turn_bytes)

    def _may_go(self, party: Payer, size_bytes: int) -> bool:
        if self._bytes_per_s is None:
            return True
        self._refill(self._bytes_per_s)
        return self._saved_bytes >= 0

    def _enter(self, party: Payer, size_bytes: int) -> None:
        self._turn_bytes = self._rank(party)
        party._served_upto_bytes = self._turn_bytes + size_bytes
        self._saved_bytes -= size_bytes
        self._since_bytes += size_bytes

    def _give_back(self, party: Payer, size_bytes: int) -> None:
        self._saved_bytes += size_bytes
        self._since_bytes -= size_bytes
        self._serve()

    def _refill(self, bytes_per_s: int) -> None:
        now_s = self._clock.monotonic_s()
        most_bytes = bytes_per_s * (OWED_S if self._lines else SAVED_S)
        fresh_bytes = (now_s - self._seen_s) * bytes_per_s
        self._saved_bytes = max(self._saved_bytes, min(self._saved_bytes + fresh_bytes, most_bytes))
        self._seen_s = now_s
        if self._changed_s is not None and now_s - self._changed_s >= FALLING_S:
            self._changed_s = None
            self._settle(bytes_per_s)

    def _settle(self, bytes_per_s: int) -> None:
        """A line brings bytes in the order asked: of what is in flight, all but what has paid since was asked for before."""
        before_bytes = self._behind.held_bytes - self._since_bytes if self._behind is not None else 0
        self._saved_bytes -= min(max(before_bytes, 0), bytes_per_s * WINDOW_S)

    def _serve(self) -> None:
        super()._serve()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._lines and self._bytes_per_s is not None:
            debt_s = -self._saved_bytes / self._bytes_per_s
            self._alarm = asyncio.get_running_loop().call_later(max(debt_s, SHORTEST_NAP_S), self._serve)


class LimitedRoom:
    """A Room behind limits: waits for the limits first, so that a slow target does not hold room that others could use."""

    def __init__(self, room: Room, *payers: Payer) -> None:
        """The payer of the target's own limit comes before that of the limit for all: who waits for his own is in nobody's way."""
        self._room, self._payers = room, payers

    @property
    def portion_bytes(self) -> int:
        return min([self._room.portion_bytes, *(payer.limit.portion_bytes for payer in self._payers)])

    async def take(self, size_bytes: int) -> None:
        for payer in self._payers:
            if payer.limit.bytes_per_s is not None:
                await payer.pay(size_bytes)
        await self._room.take(size_bytes)

    def give(self, size_bytes: int) -> None:
        """Gives back the room. Bandwidth that was paid for and not used is gone: only broken transfers do that."""
        self._room.give(size_bytes)
