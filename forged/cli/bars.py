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

WIDE_COLUMNS = 100
BAR_COLUMNS, SHORT_BAR_COLUMNS = 24, 9
"""A short bar below 100 columns leaves room for the numbers and for how long it will take."""


@asynccontextmanager
async def bars(progress: Progress, clock: Clock) -> AsyncIterator[None]:
    """Draws while the block runs, and once more at its end. No thread: numbers are read where they are written."""
    console, spinner = Console(), Spinner("dots")

    def picture(moving: bool) -> Table:
        return board(progress, clock.monotonic_s(), spinner if moving else None, console.width)

    async def draw(live: Live) -> None:
        while True:
            await asyncio.sleep(FRAME_S)
            live.update(picture(moving=True), refresh=True)

    with Live(picture(moving=True), console=console, auto_refresh=False) as live:
        drawing = asyncio.create_task(draw(live))
        try:
            yield
        finally:
            drawing.cancel()
            live.update(picture(moving=False), refresh=True)


def board(progress: Progress, now_s: float, spinner: Spinner | None, columns: int) -> Table:
    """All targets as they stand. Without a spinner it is the last picture, in which nothing moves any more."""
    targets, length = list(progress.targets.values()), BAR_COLUMNS if columns >= WIDE_COLUMNS else SHORT_BAR_COLUMNS
    rows = [(target.target, files(target), size(target), rate(target, now_s) if spinner else "") for target in targets]
    table = Table.grid(padding=(0, 2), expand=True)
    # On a narrow terminal only the last column gives way: numbers that are cut off would be wrong numbers.
    for column, width in enumerate(max(map(len, cells), default=0) for cells in zip(*rows, strict=True)):
        table.add_column(justify="right" if column else "left", no_wrap=True, min_width=width)
        if column == 0:
            table.add_column(width=length)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for target, (name, *numbers) in zip(targets, rows, strict=True):
        words = Text(state(target, now_s) if spinner else "", style="dim")
        table.add_row(Text(name, style="bold"), bar(target, spinner, length), *numbers, words)
    return table


def files(target: TargetProgress) -> str:
    return f"{target.landed_files:,} / {target.total_files:,} files" if target.total_files else ""


def size(target: TargetProgress) -> str:
    return f"{human_size(target.done_bytes)} / {human_size(target.wanted_bytes)}" if target.wanted_bytes else ""


def rate(target: TargetProgress, now_s: float) -> str:
    bytes_per_s = target.rate.bytes_per_s(now_s)
    return human_rate(bytes_per_s) if bytes_per_s else ""


def bar(target: TargetProgress, spinner: Spinner | None, length: int) -> RenderableType:
    """How much of what is wanted is home; a spinner while nothing is known to be wanted."""
    if target.total_files:
        share = target.done_bytes / target.wanted_bytes if target.wanted_bytes else target.landed_files / target.total_files
        return ProgressBar(total=1.0, completed=share, width=length)
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
