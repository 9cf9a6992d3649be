"""Telling systemd how forged is: its watchdog lives as long as the loop turns and none of forged's own tasks stands still.

A loop that hangs tells nobody anything, and so is aborted. A single task that hangs would be worse: files would come home, and
nobody would hear of alarms any more, or be able to reload. So the watchdog is left to starve then too, and what stood still is said
first. Only forged's own tasks count: a target, a discovery or a handler that hangs has its own limits, and is no reason to stop
the others (promise 12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from forged.daemon.conditions import Conditions
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.notify import Notifier
from forged.kit.signs import Alive, Signs, where
from forged.kit.units import human_duration

STILL_S = 300.0
"""No step of these tasks has a right to so long; the longest is a reload that ends targets and begins a hundred others."""

TELL_S = 10.0
"""The status line may be so old."""

STANDS_STILL = "stands_still"
HINT = "please report it with this line; systemd starts forged anew, elsewhere restart it: nothing is lost"


class Watchdog:
    """Who has to give signs of life, and what follows when one does not."""

    def __init__(self, notifier: Notifier, clock: Clock, log: Log) -> None:
        self._notifier = notifier
        self._signs = Signs(STILL_S, clock.monotonic_s)
        self.conditions = Conditions("", log, clock)
        """What stands still now."""

    def sign_of(self, task: str) -> Alive:
        """What the task of that name has to call at least every STILL_S seconds."""
        return self._signs.of(task)

    async def keep_telling(self, status: Callable[[], str]) -> None:
        """An eternal task. systemd asks for a sign at least twice as often as its patience ends (sd_watchdog_enabled(3))."""
        every_s = min(self._notifier.watchdog_s / 2, TELL_S) if self._notifier.watchdog_s else TELL_S
        while True:
            self.tell(status())
            await asyncio.sleep(every_s)

    def tell(self, status: str) -> None:
        """Once."""
        still = self._signs.still()
        if not still:
            self._notifier.watchdog()
            self.conditions.healed(STANDS_STILL)
            self._notifier.status(status)
            return
        said = "; ".join(f"{name} has stood still for {human_duration(silent_s)}" for name, silent_s in sorted(still.items()))
        self.conditions.broken(STANDS_STILL, f"{said}, at {' and '.join(map(where, sorted(still)))}", HINT)
        self._notifier.status(f"{said}; {status}")
