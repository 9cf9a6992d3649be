"""Rates over time, in block elements: one line of them, or a graph several rows high."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
STEPS = len(BLOCKS) - 1


def sparkline(rates: Sequence[float], most: float | None = None) -> str:
    """The rates as blocks, `most` (the highest of them, unless given) being full; any rate at all is seen."""
    top = most or max(rates, default=0.0)
    return "".join(BLOCKS[_steps(rate, top, STEPS)] for rate in rates) if top > 0 else ""


def graph(rates: Sequence[float], rows: int, most: float) -> list[str]:
    """The same, several rows high, the uppermost first."""
    heights = [_steps(rate, most, STEPS * rows) if most > 0 else 0 for rate in rates]
    return ["".join(BLOCKS[max(min(height - below * STEPS, STEPS), 0)] for height in heights) for below in range(rows)[::-1]]


def ceiling(rates: Sequence[float]) -> float:
    """The next of 1, 2, 5, 10, 20, … above them all: a scale that stays while the rates tremble."""
    most = max(rates, default=0.0)
    if most <= 0:
        return 0.0
    decade = 10.0 ** math.floor(math.log10(most))
    return next(decade * step for step in (1, 2, 5, 10) if most <= decade * step * (1 + 1e-9))


def _steps(rate: float, most: float, steps: int) -> int:
    return min(math.ceil(rate / most * steps), steps)
