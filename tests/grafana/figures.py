"""Numbers in the words of a panel's unit, and round numbers for an axis."""

from __future__ import annotations

import math
from collections.abc import Iterator

SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
SPANS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))


def shown(value: float, unit: str) -> str:
    """As Grafana would, in three digits."""
    if math.isnan(value):
        return "-"
    match unit:
        case "decbytes":
            return _sized(value)
        case "Bps":
            return _sized(value) + "/s"
        case "s":
            return _lasted(value)
        case "percentunit":
            return f"{100 * value:.3g} %"
        case _:
            return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def _sized(value: float) -> str:
    step = min(int(math.log10(abs(value)) // 3), len(SIZES) - 1) if abs(value) >= 1 else 0
    return f"{value / 1000**step:.3g} {SIZES[step]}"


def _lasted(value: float) -> str:
    if value == 0:
        return "0 s"
    size, name = next((pair for pair in SPANS if abs(value) >= pair[0]), SPANS[-1])
    return f"{value / size:.3g} {name}"


def ticks(low: float, high: float, about: int = 4) -> Iterator[float]:
    """Round numbers from below `low` to `high`."""
    step = round_step((high - low) / about)
    value = math.floor(low / step) * step
    while value <= high * 1.0001:
        yield value
        value += step


def round_step(rough: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
