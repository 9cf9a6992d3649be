"""The bounded pool that all targets share: bytes in flight, and bandwidth by the timetable."""

from __future__ import annotations

import asyncio
from datetime import datetime

from forged.kit.budget import Budget, Room
from forged.kit.clock import Clock
from forged.kit.rate import LimitedRoom, RateLimit
from forged.model.settings import TransferSettings
from forged.model.target import Bandwidth, Target
from forged.rules.bandwidth import rate_at

TICK_S = 15.0
"""How late a step of the timetable may be: its steps are minutes."""


class Pool:
    """Room for each target: a fair share of what may be in flight, behind the bandwidth limits."""

    def __init__(self, settings: TransferSettings, clock: Clock) -> None:
        self._clock = clock
        self._budget = Budget(settings.in_flight_bytes)
        self._all = RateLimit(clock)
        self._limits: list[tuple[RateLimit, Bandwidth]] = [(self._all, settings.bandwidth)]
        self.set_rates()

    def room(self, target: Target) -> Room:
        """The room of one target."""
        own = RateLimit(self._clock)
        self._limits.append((own, target.transfer.bandwidth))
        self.set_rates()
        return LimitedRoom(self._budget.share(target.name), self._all, own)

    def set_rates(self) -> None:
        """Gives each limit the rate that its timetable has for now, in local time."""
        now = datetime.fromtimestamp(self._clock.now_ns() / 1e9).astimezone()
        for limit, bandwidth in self._limits:
            limit.change(rate_at(bandwidth, now.weekday(), now.hour * 60 + now.minute))

    async def keep_time(self) -> None:
        """Runs as long as the pool is used: follows the timetable."""
        while True:
            await asyncio.sleep(TICK_S)
            self.set_rates()
