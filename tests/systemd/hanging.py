"""forged with a fault: the task that looks for alarms waits for what never comes. Everything else goes on."""

from __future__ import annotations

import asyncio

from forged.cli.forged import main
from forged.daemon import alarms, couriers, enriching, watchdog
from forged.daemon import main as life

QUICK_S = 0.5


async def never_ends(self: alarms.Watchman) -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    alarms.Watchman.look = never_ends  # type: ignore[method-assign]
    alarms.LOOK_S = enriching.COUNT_AGAIN_S = couriers.PRUNE_S = life.LISTEN_AGAIN_S = QUICK_S
    watchdog.STILL_S = 4.0
    main()
