"""Bars for the jobs at work, on a terminal. Loads rich, so it is imported only where something is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from forged.cli.ctl.words import safe
from forged.kit.units import human_duration, human_rate, human_size

if TYPE_CHECKING:
    from forged.model import rpc

MB = 1_000_000
WIDE_COLUMNS = 100
BAR_COLUMNS, SHORT_BAR_COLUMNS = 24, 9
"""As `forged once` draws: below 100 columns a short bar leaves room for the numbers."""


@contextmanager
def one_bar(target: str) -> Iterator[Callable[[rpc.Progress], None]]:
    """A row that follows one job; it disappears at the end, when the result is told."""
    console = Console()
    with Live(Text("…", style="dim"), console=console, auto_refresh=False, transient=True) as live:

        def draw(progress: rpc.Progress) -> None:
            live.update(bars([(target, progress)], console.width), refresh=True)

        yield draw


def bars(jobs: Sequence[tuple[str, rpc.Progress]], columns: int) -> Table:
    """A row for each job: target, bar, files, size, rate, and how long it will take."""
    rows = [(safe(target), *numbers(progress)) for target, progress in jobs]
    table = Table.grid(padding=(0, 2), expand=True)
    # On a narrow terminal only the last column gives way: numbers that are cut off would be wrong numbers.
    for column, width in enumerate(max(map(len, cells)) for cells in zip(*rows, strict=True)):
        table.add_column(justify="right" if column else "left", no_wrap=True, min_width=width)
        if column == 0:
            table.add_column(width=BAR_COLUMNS if columns >= WIDE_COLUMNS else SHORT_BAR_COLUMNS)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for (name, *cells), (_, progress) in zip(rows, jobs, strict=True):
        table.add_row(Text(name, style="bold"), bar(progress), *cells, Text(left(progress), style="dim"))
    return table


def numbers(progress: rpc.Progress) -> tuple[str, str, str]:
    """Files, size and rate; empty while there is nothing to count."""
    if not progress["total_files"]:
        return ("", "", "")
    rate = progress["transfer_rate_mbps"] * MB
    return (
        f"{progress['transferred_files']:,} / {progress['total_files']:,} files",
        f"{human_size(progress['transferred_bytes'])} / {human_size(progress['total_bytes'])}",
        human_rate(rate) if rate else "",
    )


def bar(progress: rpc.Progress) -> ProgressBar | Text:
    """How much of what is wanted is home."""
    return ProgressBar(total=100, completed=progress["progress_percent"]) if progress["total_files"] else Text("")


def left(progress: rpc.Progress) -> str:
    """How long the rest takes, or what it does now."""
    remaining_s = progress["estimated_time_remaining"]
    return safe(progress["current_stage"]) if remaining_s is None else f"{human_duration(remaining_s)} left"
