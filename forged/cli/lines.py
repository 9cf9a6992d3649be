"""Progress where nobody watches (cron, a pipe, a log): a line now and then, as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from forged.cli.telling import Line, Tone, line, say
from forged.daemon.progress import Progress, TargetProgress
from forged.daemon.wanted import Wanted
from forged.kit.clock import Clock
from forged.kit.units import human_duration, human_rate, human_size
from forged.model.target import Target

EVERY_S = 10.0
"""Often enough to see that it lives, rare enough for a log: six lines a minute and target."""


@asynccontextmanager
async def ticking(progress: Progress, clock: Clock) -> AsyncIterator[None]:
    """Prints one line for each busy target every ten seconds while the block runs."""

    async def tick() -> None:
        while True:
            await clock.sleep(EVERY_S)
            say(standing(progress, clock.monotonic_s()))

    ticks = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticks.cancel()


def beginning(targets: Sequence[Target]) -> list[Line]:
    """What is about to happen."""
    return [line(f"{target.name}: {target.source} -> {target.home.dest}") for target in targets]


def asleep(what: Wanted) -> list[Line]:
    """Boxes that nobody tries, and why."""
    return [line(f"{one.target.name}: {one.route.nobody_there}", Tone.QUIET) for one in what.asleep if one.route is not None]


def standing(progress: Progress, now_s: float) -> list[Line]:
    """How far each target is that still has something to do."""
    return [line(f"{one.target}: {words(one, now_s)}") for one in progress.targets.values() if busy(one)]


def busy(target: TargetProgress) -> bool:
    return target.summary is None or target.scanning or target.landed_files < target.total_files


def words(target: TargetProgress, now_s: float) -> str:
    """`120 of 400 files, 34 MB of 120 MB, 12.5 MB/s, 7 s left`."""
    if target.retry is not None:
        return f"no answer, trying again in {human_duration(target.retry.wait_s)}: {target.retry.error.message}"
    if not target.total_files:
        return "looking for new files" if target.scanning else "connecting"
    parts = [
        f"{target.landed_files:,} of {target.total_files:,} files",
        f"{human_size(target.done_bytes)} of {human_size(target.wanted_bytes)}",
        human_rate(target.rate.bytes_per_s(now_s)),
    ]
    remaining_s = target.remaining_s(now_s)
    if target.scanning:
        parts.append("still looking")
    elif remaining_s is not None:
        parts.append(f"{human_duration(remaining_s)} left")
    return ", ".join(parts)
