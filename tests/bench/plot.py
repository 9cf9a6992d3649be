"""The times as a picture: for each race a group of bars, as long as the time of rsync would make them."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from tests.bench.results import Cell, Summary

COLORS = {
    "forged": "#2f6fde",
    "once": "#9dbcf2",
    "rsync": "#8a8a8a",
    "rsync-list": "#5a5a5a",
    "rclone": "#c9a227",
    "lftp": "#b5651d",
}

LABEL_PX, PLOT_PX, BAR_PX, GAP_PX, HEAD_PX = 190, 480, 11, 9, 46
MOST = 2.0
"""Bars end at twice rsync's time; their figure says the rest."""


def svg(told: dict[Cell, list[Summary]]) -> str:
    """Races without a time of rsync are left out."""
    groups = {cell: bars for cell, summaries in told.items() if (bars := shares(summaries))}
    height = HEAD_PX + sum(BAR_PX * len(bars) + GAP_PX for bars in groups.values())
    body = "\n".join([*head(height), *drawn(groups)])
    width = LABEL_PX + PLOT_PX + 70
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
    return f'{opening}\n<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>\n'


def shares(summaries: list[Summary]) -> dict[str, tuple[float, float]]:
    """Seconds, and how many times rsync's they are, for all in COLORS but rsync itself, which is the line."""
    times = {each.contestant: each.wall_s for each in summaries if each.wall_s is not None and each.contestant in COLORS}
    base_s = times.get("rsync")
    return {name: (wall_s, wall_s / base_s) for name, wall_s in times.items() if name != "rsync"} if base_s else {}


def head(height: int) -> Iterator[str]:
    """The names of the colours, and the line that is rsync."""
    x = LABEL_PX
    for name, color in COLORS.items():
        if name != "rsync":
            yield f'<rect x="{x}" y="8" width="10" height="10" fill="{color}"/><text x="{x + 14}" y="17">{name}</text>'
            x += 76
    one = LABEL_PX + PLOT_PX / MOST
    yield f'<line x1="{one}" x2="{one}" y1="36" y2="{height}" stroke="{COLORS["rsync"]}" stroke-dasharray="4 3"/>'
    yield f'<text x="{one}" y="32" text-anchor="middle" fill="#555">as long as rsync</text>'


def drawn(groups: dict[Cell, dict[str, tuple[float, float]]]) -> Iterator[str]:
    y = HEAD_PX
    for cell, bars in groups.items():
        extra = ("", ", 64 MiB")[cell.buffers == "LARGE"] + ("", ", disk")[cell.place == "disk"]
        label = escape(f"{cell.data}, {cell.link}{extra}")
        yield f'<text x="{LABEL_PX - 8}" y="{y + 10}" text-anchor="end">{label}</text>'
        for name, (wall_s, share) in bars.items():
            length = PLOT_PX * min(share, MOST) / MOST
            yield f'<rect x="{LABEL_PX}" y="{y}" width="{length:.1f}" height="{BAR_PX - 2}" fill="{COLORS[name]}"/>'
            yield f'<text x="{LABEL_PX + length + 4:.1f}" y="{y + 8}" font-size="9" fill="#333">{wall_s:.3g} s</text>'
            y += BAR_PX
        y += GAP_PX
