"""The one place that asks what time it is. Tests bring their own clock."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Time of day, time that only runs forward, and waiting."""

    def now_ns(self) -> int:
        """Nanoseconds since the epoch (wall clock; may jump)."""

    def monotonic_s(self) -> float:
        """Seconds that never run backwards; only differences mean something."""

    async def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class HandClock:
    """A clock that moves only by hand, or when someone sleeps on it: waiting takes no time, and tests can see how long it was."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self.slept_s: list[float] = []

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._now_ns / 1e9

    def advance(self, seconds: float) -> None:
        self._now_ns += round(seconds * 1e9)

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)
