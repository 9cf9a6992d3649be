"""The inside of each kind of panel as SVG, from what Prometheus answered."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from tests.grafana.figures import shown, ticks
from tests.grafana.panels import Column, Look, Panel

Series = dict[str, Any]
"""One of an answer: `metric` (labels), and `values` or `value`."""

TEXT, FAINT, GRID = "#ccccdc", "#8e8ea0", "#2a2d35"
COLORS = ("#73bf69", "#5794f2", "#f2cc0c", "#b877d9", "#ff9830", "#6ed0e0", "#f2495c", "#8ab8ff", "#c8a98a", "#96d98d")
NAMED = {"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "blue": "#5794f2", "yellow": "#f2cc0c", "text": TEXT}
LEGEND_PX = 15


@dataclass(frozen=True, slots=True)
class Box:
    """Where to draw."""

    x: float
    y: float
    width: float
    height: float


@dataclass(slots=True)
class Pens:
    """The same target has the same colour in every panel."""

    taken: dict[str, str]

    def of(self, labels: Mapping[str, str], place: int) -> str:
        """`place`: of the series in its panel, for those that are about no target and no handler."""
        key = labels.get("target") or labels.get("handler")
        return self.taken.setdefault(key, COLORS[len(self.taken) % len(COLORS)]) if key else COLORS[-1 - place % len(COLORS)]


def text(x: float, y: float, words: str, *, size: float = 10, color: str = FAINT, anchor: str = "start", weight: int = 400) -> str:
    style = f'font-size="{size:g}" fill="{color}" text-anchor="{anchor}"' + (f' font-weight="{weight}"' if weight != 400 else "")
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(words)}</text>'


def rectangle(box: Box, color: str, *, opacity: float = 1, radius: float = 0) -> str:
    more = (f' opacity="{opacity:.2g}"' if opacity != 1 else "") + (f' rx="{radius:g}"' if radius else "")
    return f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" fill="{color}"{more}/>'


def named(template: str, labels: Mapping[str, str]) -> str:
    """Grafana's legend: {{label}} is the label's value."""
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), template).strip() or "value"


def numbers(series: Series) -> list[tuple[float, float]]:
    pairs = series["values"] if "values" in series else [series["value"]]
    return [(float(at), float(value)) for at, value in pairs if math.isfinite(float(value))]


def color_at(panel: Panel, value: float) -> str:
    """Of the panel's steps."""
    chosen = panel.steps[0][0]
    for color, least in panel.steps:
        if least is not None and value >= least:
            chosen = color
    return NAMED[chosen]


# --- kinds --------------------------------------------------------------------------------------------------------------------


def stat(panel: Panel, answers: Sequence[list[Series]], box: Box, pens: Pens) -> Iterator[str]:
    """One large value; behind it its course, where the panel wants that."""
    points = numbers(answers[0][0]) if answers[0] else []
    value = points[-1][1] if points else math.nan
    color = color_at(panel, value)
    if panel.spark and len(points) > 1:
        top = max(value for _, value in points) or 1.0
        scaled = _scaled(points, Box(box.x, box.y + box.height * 0.55, box.width, box.height * 0.45), 0.0, top)
        yield _area(scaled, box.y + box.height, color, 0.25)
    words = next((told for known, told, _ in panel.words if float(known) == value), shown(value, panel.unit))
    yield text(box.x + box.width / 2, box.y + box.height * 0.58, words, size=26, color=color, anchor="middle", weight=500)


def lines(panel: Panel, answers: Sequence[list[Series]], box: Box, pens: Pens) -> Iterator[str]:
    """Lines over time, or areas and bars on top of each other."""
    told = [
        (named(ask.legend, one["metric"]), one["metric"], numbers(one), ask.dashed)
        for ask, found in zip(panel.asks, answers, strict=True)
        for one in found
    ]
    told = [one for one in told if one[2]]
    rows = -(-len(told) // 5)
    chart = Box(box.x + 52, box.y + 6, box.width - 58, box.height - 12 - LEGEND_PX * max(rows, 1) - 6)
    drawn = list(_stacked(told)) if panel.stacked else [(points, [(at, 0.0) for at, _ in points]) for _, _, points, _ in told]
    low, high = _bounds(panel, [points for points, _ in drawn])
    yield from _grid(chart, low, high, panel.unit)
    colors = [pens.of(labels, n) for n, (_, labels, _, _) in enumerate(told)]
    for (_, _, _, dashed), (points, floor), color in zip(told, drawn, colors, strict=True):
        upper, lower = _scaled(points, chart, low, high, drawn), _scaled(floor, chart, low, high, drawn)
        if panel.stacked:
            outline = _joined([*upper, *reversed(lower)])
            yield f'<polygon points="{outline}" fill="{color}" opacity="{0.7 if panel.bars else 0.45}"/>'
        elif not dashed:
            yield from (_area(run, chart.y + chart.height, color, 0.08) for run in _unbroken(upper))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        for run in _unbroken(upper) if not panel.stacked or points != floor else ():
            yield f'<polyline points="{_joined(run)}" fill="none" stroke="{color}" stroke-width="1.4"{dash}/>'
    yield from _legend([(name, color) for (name, *_), color in zip(told, colors, strict=True)], box)


def heatmap(panel: Panel, answers: Sequence[list[Series]], box: Box, pens: Pens) -> Iterator[str]:
    """A column for each moment, a cell for each bucket: what is in it and not in the one below."""
    buckets = sorted(answers[0], key=lambda one: float(one["metric"]["le"]))
    columns = [dict(numbers(one)) for one in buckets]
    moments = sorted({at for column in columns for at in column})
    chart = Box(box.x + 52, box.y + 6, box.width - 58, box.height - 14)
    wide, tall = chart.width / max(len(moments), 1), chart.height / max(len(buckets), 1)
    cells = {(m, b): _cell(columns, b, at) for m, at in enumerate(moments) for b in range(len(buckets))}
    most = max(cells.values(), default=0.0) or 1.0
    for (m, b), value in cells.items():
        if value > 0.01:
            place = Box(chart.x + m * wide, chart.y + chart.height - (b + 1) * tall, max(wide - 0.5, 0.5), tall - 0.5)
            yield rectangle(place, "#5794f2", opacity=0.12 + 0.88 * math.sqrt(value / most))
    for b, one in enumerate(buckets):
        if b % 2 == 0:
            at = float(one["metric"]["le"])
            words = shown(at, panel.unit) if math.isfinite(at) else "more"
            yield text(chart.x - 6, chart.y + chart.height - (b + 0.5) * tall + 3, words, size=9, anchor="end")


def states(panel: Panel, answers: Sequence[list[Series]], box: Box, pens: Pens) -> Iterator[str]:
    """A band for each series, in the colours of what its values mean."""
    told = [
        (named(ask.legend, one["metric"]), numbers(one)) for ask, found in zip(panel.asks, answers, strict=True) for one in found
    ]
    begin = min((points[0][0] for _, points in told), default=0.0)
    end = max((points[-1][0] for _, points in told), default=1.0)
    chart = Box(box.x + 112, box.y + 4, box.width - 118, box.height - 8 - LEGEND_PX)
    tall = chart.height / max(len(told), 1)
    for n, (name, points) in enumerate(told):
        y = chart.y + n * tall
        yield text(chart.x - 6, y + tall / 2 + 3, name, size=9, anchor="end")
        step_s = points[1][0] - points[0][0] if len(points) > 1 else 1.0
        for at, until, value in _runs(points, step_s):
            color = next((NAMED[color] for known, _, color in panel.words if float(known) == value), FAINT)
            x = chart.x + chart.width * (at - begin) / max(end - begin, 1.0)
            width = min(chart.width * (until - at) / max(end - begin, 1.0), chart.x + chart.width - x)
            yield rectangle(Box(x, y + 2, max(width, 1), max(tall - 4, 2)), color, opacity=0.75)
    yield from _legend([(word, NAMED[color]) for _, word, color in panel.words], box)


def bars(panel: Panel, answers: Sequence[list[Series]], box: Box, pens: Pens) -> Iterator[str]:
    """A bar for each series, longest first."""
    told = [(named(panel.asks[0].legend, one["metric"]), numbers(one)[-1][1]) for one in answers[0] if numbers(one)]
    told = sorted(told, key=lambda pair: -pair[1])[: int(box.height // 18)]
    most = max((value for _, value in told), default=1.0) or 1.0
    for n, (name, value) in enumerate(told):
        y, x = box.y + 6 + n * 18, box.x + 130
        yield text(x - 6, y + 10, name, size=9, anchor="end")
        yield rectangle(Box(x, y, max((box.width - 190) * value / most, 1), 13), color_at(panel, value), opacity=0.8, radius=2)
        yield text(x + (box.width - 190) * value / most + 5, y + 10, shown(value, panel.unit), size=9, color=TEXT)


def table(panel: Panel, answers: Sequence[list[Series]], box: Box, pens: Pens) -> Iterator[str]:
    """A line for each target."""
    keys = sorted({one["metric"].get("target", "") for found in answers for one in found})
    wide = (box.width - 90) / max(len(panel.columns), 1)
    for n, column in enumerate(panel.columns):
        yield text(box.x + 90 + (n + 1) * wide - 8, box.y + 14, column.title, size=9.5, color="#6e9fff", anchor="end")
    for line, key in enumerate(keys):
        y = box.y + 36 + line * 24
        yield f'<line x1="{box.x:.0f}" x2="{box.x + box.width:.0f}" y1="{y - 16:.0f}" y2="{y - 16:.0f}" stroke="{GRID}"/>'
        yield text(box.x + 8, y, key, size=11, color=TEXT)
        for n, (column, found) in enumerate(zip(panel.columns, answers, strict=True)):
            words, color = _cell_words(column, [one for one in found if one["metric"].get("target", "") == key])
            yield text(box.x + 90 + (n + 1) * wide - 8, y, words, size=11, color=color, anchor="end")


KINDS: Mapping[Look, Callable[[Panel, Sequence[list[Series]], Box, Pens], Iterator[str]]] = {
    Look.STAT: stat,
    Look.LINES: lines,
    Look.HEATMAP: heatmap,
    Look.STATES: states,
    Look.BARS: bars,
    Look.TABLE: table,
}


# --- parts --------------------------------------------------------------------------------------------------------------------


def _cell_words(column: Column, found: list[Series]) -> tuple[str, str]:
    points = numbers(found[0]) if found else []
    if not points:
        return "", FAINT
    value = points[-1][1]
    for known, word, color in column.words:
        if float(known) == value:
            return word, NAMED[color]
    color = TEXT
    for name, least in column.steps:
        color = NAMED[name] if least is None or value >= least else color
    return shown(value, column.unit), color


def _cell(columns: list[dict[float, float]], bucket: int, at: float) -> float:
    return columns[bucket].get(at, 0.0) - (columns[bucket - 1].get(at, 0.0) if bucket else 0.0)


def _runs(points: list[tuple[float, float]], step_s: float) -> Iterator[tuple[float, float, float]]:
    """(from, until, value) of each stretch of one value."""
    began, last, value = points[0][0], points[0][0], points[0][1]
    for at, now in points[1:]:
        if now != value or at - last > step_s * 1.5:
            yield began, last + step_s, value
            began, value = at, now
        last = at
    yield began, last + step_s, value


def _stacked(told: Sequence[tuple[str, Any, list[tuple[float, float]], bool]]) -> Iterator[tuple[list[tuple[float, float]], ...]]:
    """Each series on top of those before it; a moment that it does not have is zero."""
    moments = sorted({at for _, _, points, _ in told for at, _ in points})
    floor = dict.fromkeys(moments, 0.0)
    for _, _, points, _ in told:
        own, before = dict(points), dict(floor)
        floor = {at: floor[at] + own.get(at, 0.0) for at in moments}
        yield list(floor.items()), list(before.items())


def _bounds(panel: Panel, lines: Sequence[list[tuple[float, float]]]) -> tuple[float, float]:
    values = [value for points in lines for _, value in points] or [0.0, 1.0]
    low = min(values) if panel.least is None else panel.least
    high = max(*values, low + 1e-9)
    return (min(low, 0.0) if low > 0 else low), (high * 1.08 if high > 1e-6 else 1.0)


def _scaled(
    points: Sequence[tuple[float, float]], box: Box, low: float, high: float, all: Sequence[tuple[Any, ...]] = ()
) -> list[tuple[float, float]]:
    times = [at for upper, _ in all for at, _ in upper] or [at for at, _ in points]
    begin, span_s = min(times), max(max(times) - min(times), 1e-9)
    tall = box.height / (high - low or 1.0)
    return [(box.x + box.width * (at - begin) / span_s, box.y + box.height - (value - low) * tall) for at, value in points]


def _unbroken(points: list[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """The stretches between which values are missing: where there is none, no line is drawn."""
    step = min((after[0] - before[0] for before, after in pairwise(points)), default=0.0)
    begin = 0
    for n, (before, after) in enumerate(pairwise(points), 1):
        if after[0] - before[0] > 1.5 * step:
            yield points[begin:n]
            begin = n
    yield points[begin:]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _area(points: list[tuple[float, float]], bottom: float, color: str, opacity: float) -> str:
    closed = [(points[0][0], bottom), *points, (points[-1][0], bottom)]
    return f'<polygon points="{_joined(closed)}" fill="{color}" opacity="{opacity:g}"/>'


def _grid(chart: Box, low: float, high: float, unit: str) -> Iterator[str]:
    for value in ticks(low, high):
        y = chart.y + chart.height - chart.height * (value - low) / (high - low)
        if y <= chart.y + chart.height + 1:
            yield f'<line x1="{chart.x:.0f}" x2="{chart.x + chart.width:.0f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
            yield text(chart.x - 6, y + 3, shown(value, unit), size=9, anchor="end")


def _legend(names: Sequence[tuple[str, str]], box: Box) -> Iterator[str]:
    """At most five beside each other, at the foot."""
    wide = box.width / min(max(len(names), 1), 5)
    rows = -(-len(names) // 5)
    for n, (name, color) in enumerate(names):
        x, y = box.x + 10 + (n % 5) * wide, box.y + box.height - LEGEND_PX * (rows - n // 5) + 8
        yield rectangle(Box(x, y - 5, 10, 3), color)
        yield text(x + 14, y, name if len(name) < wide / 5 else name[: int(wide / 5)] + "…", size=9, color=TEXT)
