"""Rows for the jobs at work: a bar, the numbers, and how long it will take; and one that stays in its place on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from forged.cli.ctl.frame import Row, Span, clipped, joined, padded, painted, span
from forged.cli.ctl.words import whole
from forged.cli.telling import Tone, cells, is_coloured
from forged.kit.units import human_rate, human_size

if TYPE_CHECKING:
    from forged.model import rpc

MB = 1_000_000
MOST_BAR_COLUMNS, FEWEST_BAR_COLUMNS = 40, 8
MOST_NAME_COLUMNS = 20
FULL, EMPTY = "━", "─"

Job = tuple[str, "rpc.Progress"]
"""The target's name, and how far it is."""


@contextmanager
def one_bar(target: str) -> Iterator[Callable[[rpc.Progress], None]]:
    """A row that follows one job; it disappears at the end, when the result is told."""
    with in_place() as draw:
        yield lambda progress: draw([(target, progress)])


@contextmanager
def in_place() -> Iterator[Callable[[Sequence[Job]], None]]:
    """Rows below what is on the terminal, drawn anew in their place; they disappear at the end. Never fewer than before."""
    coloured, drawn = is_coloured(sys.stdout), 0

    def draw(jobs: Sequence[Job]) -> None:
        nonlocal drawn
        columns = shutil.get_terminal_size().columns - 1  # the last one would wrap on some terminals
        rows = [f"\r{painted(clipped(row, columns), coloured)}\x1b[K" for row in bars(jobs, columns)]
        up = f"\x1b[{drawn - 1}A" if drawn > 1 else ""
        drawn = len(rows)
        _write(up + "\n".join(rows))

    try:
        yield draw
    finally:
        _write((f"\x1b[{drawn - 1}A" if drawn > 1 else "") + "\r\x1b[J")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def bars(jobs: Sequence[Job], columns: int) -> list[Row]:
    """A row for each job. Where it is narrow, whole numbers go, the size first, and the time that is left last."""
    if not jobs:
        return []
    names = [span(name).text for name, _ in jobs]
    name_columns = min(max(map(cells, names)), MOST_NAME_COLUMNS)
    table = [numbers(progress) for _, progress in jobs]
    widths = [max(cells(row[i]) for row in table) for i in range(len(table[0]))]
    kept, bar_columns = room(widths, columns - name_columns - 2)
    rows = []
    for name, (_, progress), row in zip(names, jobs, table, strict=True):
        told = joined([Span(padded(row[i], widths[i], right=True), Tone.QUIET if i == LEFT else Tone.PLAIN) for i in kept])
        begun = (Span(padded(name, name_columns), Tone.TITLE), Span("  "))
        done = (*bar(progress, bar_columns), Span("  "), *told) if progress["total_files"] else (span(stage(progress), Tone.QUIET),)
        rows.append(begun + done)
    return rows


LEFT = 4
GOES_FIRST = (2, 1, 3)
"""Columns of `numbers` in the order in which they give way: size, files, rate. How much, and how long still, always stay."""


def room(widths: Sequence[int], columns: int) -> tuple[list[int], int]:
    """Which numbers there is room for, and how many columns are left for the bar."""
    kept = [i for i, width in enumerate(widths) if width]
    for index in (*GOES_FIRST, None):
        bar_columns = columns - sum(widths[i] + 2 for i in kept)
        if bar_columns >= FEWEST_BAR_COLUMNS or index is None:
            break
        kept = [i for i in kept if i != index]
    return kept, max(min(bar_columns, MOST_BAR_COLUMNS), 3)


def numbers(progress: rpc.Progress) -> tuple[str, str, str, str, str]:
    """Percent, files, size, rate, and the time that is left or what it does now; empty while there is nothing to count."""
    if not progress["total_files"]:
        return ("", "", "", "", "")
    rate = progress["transfer_rate_mbps"] * MB
    return (
        f"{int(progress['progress_percent'])} %",
        f"{progress['transferred_files']:,} / {progress['total_files']:,} files",
        f"{human_size(progress['transferred_bytes'])} / {human_size(progress['total_bytes'])}",
        human_rate(rate) if rate else "",
        left(progress),
    )


def bar(progress: rpc.Progress, columns: int) -> Row:
    """How much of what is wanted is home."""
    full = round(min(max(progress["progress_percent"], 0.0), 100.0) / 100 * columns)
    return Span(FULL * full, Tone.GOOD), Span(EMPTY * (columns - full), Tone.QUIET)


def left(progress: rpc.Progress) -> str:
    """How long the rest takes, or what it does now."""
    remaining_s = progress["estimated_time_remaining"]
    return span(stage(progress)).text if remaining_s is None else f"{whole(remaining_s)} left"


def stage(progress: rpc.Progress) -> str:
    """What it does now, in words."""
    return progress["current_stage"] or progress["status"]
