"""The bounded pool that all targets share: bytes in flight, and bandwidth by the timetable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from forged.kit.budget import Budget, Room, Share
from forged.kit.clock import Clock
from forged.kit.rate import LimitedRoom, RateLimit
from forged.model.settings import TransferSettings
from forged.model.target import Bandwidth, Target
from forged.rules.bandwidth import rate_at

MINUTE_S = 60
"""Steps of a timetable are minutes of local time, and every zone of today is whole minutes away from UTC."""

TICK_S = 15.0
"""How late a step may be where the clock was set, or the machine slept, meanwhile."""


@dataclass(slots=True, eq=False)
class _Bound:
    """One limit: for whom (None = all together), as it is configured, and what is in flight behind it."""

    name: str | None
    limit: RateLimit
    configured: Bandwidth
    in_flight: Budget | Share


class Pool:
    """Room for each target: a fair share of what may be in flight, behind the bandwidth limits."""

    def __init__(self, settings: TransferSettings, clock: Clock) -> None:
        self._clock = clock
        self._budget = Budget(settings.in_flight_bytes)
        self._all = _Bound(None, RateLimit(clock, behind=self._budget), settings.bandwidth, self._budget)
        self._bounds = [self._all]
        self._overrides: dict[str | None, Bandwidth] = {}
        self.set_rates()

    @contextmanager
    def room(self, target: Target) -> Iterator[Room]:
        """The room of one target, for as long as it is used."""
        share = self._budget.share(target.name)
        own = _Bound(target.name, RateLimit(self._clock, behind=share), target.transfer.bandwidth, share)
        self._bounds.append(own)
        self.set_rates()
        try:
            yield LimitedRoom(share, own.limit.payer(), self._all.limit.payer())
        finally:
            self._bounds.remove(own)

    def limit(self, name: str | None, bandwidth: Bandwidth) -> None:
        """Another configured bandwidth, for one target or (None) for all together. KeyError for a target that has no room now."""
        {bound.name: bound for bound in self._bounds}[name].configured = bandwidth
        self.set_rates()

    def override(self, name: str | None, bandwidth: Bandwidth | None) -> None:
        """A person's bandwidth in place of the configured one, whatever is configured later; None gives the configured one back.

        It follows the target's name: it also holds for a target that gets its room later, or anew.
        """
        self._overrides.pop(name, None)
        if bandwidth is not None:
            self._overrides[name] = bandwidth
        self.set_rates()

    def limits(self) -> dict[str | None, tuple[Bandwidth, int | None]]:
        """Each limit: its timetable, and the bytes a second that it allows now."""
        return {bound.name: (self._bandwidth(bound), bound.limit.bytes_per_s) for bound in self._bounds}

    def resize(self, in_flight_bytes: int) -> None:
        """Another bound for what is in flight."""
        self._budget.resize(in_flight_bytes)

    def held_bytes(self, name: str | None = None) -> int:
        """What is in flight now, for one target or (None) for all together; 0 for a target that has no room."""
        return next((bound.in_flight.held_bytes for bound in self._bounds if bound.name == name), 0)

    def set_rates(self) -> None:
        """Gives each limit the rate that its timetable has for now, in local time."""
        now = datetime.fromtimestamp(self._clock.now_ns() / 1e9)
        for bound in self._bounds:
            bound.limit.change(rate_at(self._bandwidth(bound), now.weekday(), now.hour * 60 + now.minute))

    def _bandwidth(self, bound: _Bound) -> Bandwidth:
        return self._overrides.get(bound.name, bound.configured)

    async def keep_time(self) -> None:
        """Runs as long as the pool is used: follows the timetable, which has its steps at full minutes."""
        while True:
            await asyncio.sleep(min(TICK_S, MINUTE_S - self._clock.now_ns() / 1e9 % MINUTE_S))
            self.set_rates()
