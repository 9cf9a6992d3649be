"""Tables that give way on a narrow terminal: whole columns go, the least wanted first, since a cut number is a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from forged.cli.ctl.frame import padded
from forged.cli.telling import cells

GAP_COLUMNS = 2

SHORTEST_NAME = 8
"""Columns that the first column keeps, however narrow it gets."""


class Column(NamedTuple):
    """`rank`: the highest goes first where there is no room; 0 never goes."""

    title: str
    rank: int = 0
    right: bool = False


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[list[str]]:
    """The head and the rows as cells that are filled to their columns' widths; together, with gaps, no wider than `width`.

    Without a width (a pipe, a log) everything stays.
    """
    table = [[column.title for column in columns], *rows]
    widths = [max(cells(row[i]) for row in table) for i in range(len(columns))]
    kept = list(range(len(columns)))
    while width is not None and _taken(widths, kept) > width and any(columns[i].rank for i in kept):
        kept.remove(max(kept, key=lambda i: columns[i].rank))
    if width is not None:
        widths[0] = max(widths[0] - max(_taken(widths, kept) - width, 0), SHORTEST_NAME)
    return [[padded(row[i], widths[i], columns[i].right) for i in kept] for row in table]


def _taken(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[i] for i in kept) + GAP_COLUMNS * (len(kept) - 1)
