"""Progress on a terminal: one row for each target, drawn from the numbers and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from forged.daemon.progress import Progress, TargetProgress
from forged.kit.clock import Clock
from forged.kit.units import human_duration, human_rate, human_size

FRAME_S = 0.125
"""Eight pictures a second: smooth to the eye, and about 1 % of a core for ten targets."""


@asynccontextmanager
async def bars(progress: Progress, clock: Clock) -> AsyncIterator[None]:
    """Draws while the block runs, and once more at its end. No thread: numbers are read where they are written."""
    spinner = Spinner("dots")
    with Live(board(progress, clock.monotonic_s(), spinner), console=Console(), auto_refresh=False) as live:

        async def draw() -> None:
            while True:
                await asyncio.sleep(FRAME_S)
                live.update(board(progress, clock.monotonic_s(), spinner), refresh=True)

        drawing = asyncio.create_task(draw())
        try:
            yield
        finally:
            drawing.cancel()
            live.update(board(progress, clock.monotonic_s(), None), refresh=True)


def board(progress: Progress, now_s: float, spinner: Spinner | None) -> Table:
    """All targets as they stand. Without a spinner it is the last picture, in which nothing moves any more."""
    table = Table.grid(padding=(0, 2), expand=False)
    for justify in ("left", "left", "right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for target in progress.targets.values():
        table.add_row(Text(target.target, style="bold"), *row(target, now_s, spinner))
    return table


def row(target: TargetProgress, now_s: float, spinner: Spinner | None) -> tuple[RenderableType, ...]:
    """Bar, files, bytes, rate and what is going on."""
    done_bytes = f"{human_size(target.done_bytes)} / {human_size(target.wanted_bytes)}" if target.wanted_bytes else ""
    return (
        bar(target, spinner),
        f"{target.landed_files:,} / {target.total_files:,} files" if target.total_files else "",
        done_bytes,
        human_rate(rate) if (rate := target.rate.bytes_per_s(now_s)) and spinner else "",
        Text(state(target, now_s) if spinner else "", style="dim"),
    )


def bar(target: TargetProgress, spinner: Spinner | None) -> RenderableType:
    """How much of what is wanted is home; a spinner while nothing is known to be wanted."""
    if target.total_files:
        share = target.done_bytes / target.wanted_bytes if target.wanted_bytes else target.landed_files / target.total_files
        return ProgressBar(total=1.0, completed=share, width=30)
    return spinner if spinner and target.summary is None else Text("")


def state(target: TargetProgress, now_s: float) -> str:
    """A few words: connecting, looking, how long it will take, done."""
    if target.retry is not None:
        return f"no answer, trying again in {human_duration(target.retry.wait_s)}"
    remaining_s = target.remaining_s(now_s)
    if target.landed_files < target.total_files:
        left = f"{human_duration(remaining_s)} left" if remaining_s is not None else "waiting for bytes"
        return f"{left}, still looking" if target.scanning else left
    if target.scanning:
        return "looking for new files"
    return "connecting" if target.summary is None else "finishing"
