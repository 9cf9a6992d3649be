"""The bounded pool that all targets share: bytes in flight, and bandwidth by the timetable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
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
        self._bandwidths: dict[RateLimit, Bandwidth] = {self._all: settings.bandwidth}
        self._own: dict[str, RateLimit] = {}
        self._overrides: dict[str | None, Bandwidth] = {}
        self.set_rates()

    @contextmanager
    def room(self, target: Target) -> Iterator[Room]:
        """The room of one target, for as long as it is used."""
        own = RateLimit(self._clock)
        self._bandwidths[own], self._own[target.name] = target.transfer.bandwidth, own
        self.set_rates()
        try:
            yield LimitedRoom(self._budget.share(target.name), self._all, own)
        finally:
            del self._bandwidths[own]
            if self._own.get(target.name) is own:
                del self._own[target.name]

    def limit(self, name: str | None, bandwidth: Bandwidth) -> None:
        """Another configured bandwidth, for one target or (None) for all together. KeyError for a target that has no room now."""
        self._bandwidths[self._all if name is None else self._own[name]] = bandwidth
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
        return {name: (self._overrides.get(name, self._bandwidths[limit]), limit.bytes_per_s) for name, limit in self._named()}

    def resize(self, in_flight_bytes: int) -> None:
        """Another bound for what is in flight."""
        self._budget.resize(in_flight_bytes)

    @property
    def held_bytes(self) -> int:
        """What is in flight now."""
        return self._budget.held_bytes

    def set_rates(self) -> None:
        """Gives each limit the rate that its timetable has for now, in local time."""
        now = datetime.fromtimestamp(self._clock.now_ns() / 1e9).astimezone()
        overridden = {limit: self._overrides[name] for name, limit in self._named() if name in self._overrides}
        for limit, bandwidth in (self._bandwidths | overridden).items():
            limit.change(rate_at(bandwidth, now.weekday(), now.hour * 60 + now.minute))

    def _named(self) -> list[tuple[str | None, RateLimit]]:
        return [(None, self._all), *self._own.items()]

    async def keep_time(self) -> None:
        """Runs as long as the pool is used: follows the timetable."""
        while True:
            await asyncio.sleep(TICK_S)
            self.set_rates()
