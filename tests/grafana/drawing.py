"""The dashboard as a picture, from what a real Prometheus answered to its queries. Drawn by this program: no Grafana was there.

The layout, titles, units, colours and thresholds are those of the dashboard.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.grafana.board import depth, places
from tests.grafana.charts import FAINT, KINDS, TEXT, Box, Pens, rectangle, text
from tests.grafana.lower_rows import CLEANUP, LIBRARY, TROUBLE
from tests.grafana.panels import Panel, Row
from tests.grafana.rows import LATENCY, NOW, TARGETS, THROUGHPUT
from tests.grafana.scene import Scene

PICTURED = (NOW, TARGETS, THROUGHPUT, LATENCY, TROUBLE, CLEANUP, LIBRARY)
UNIT_X, UNIT_Y, GAP, HEAD, ROW = 50, 26, 6, 40, 30
MOMENTS = 110
"""Of a line: more cannot be told apart in a panel of 400 pixels."""

FONTS = "Inter,Helvetica,Arial,sans-serif"

SAYS = "Drawn by tests/grafana from a real forged, its real boxes and a real Prometheus in the tests; not a screenshot of Grafana."


def drawn(real: Scene) -> str:
    """An SVG document."""
    lasted_s = time.time() - real.began_s
    step_s = max(1.0, round(lasted_s / MOMENTS))
    height = HEAD + sum(ROW + depth(row) * UNIT_Y for row in PICTURED) + GAP
    width = 24 * UNIT_X + GAP
    parts = "\n".join(_document(real, step_s, lasted_s))
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="{FONTS}">'
    return f'{opening}\n<title>{SAYS}</title>\n<rect width="{width}" height="{height}" fill="#111217"/>\n{parts}\n</svg>\n'


def _document(real: Scene, step_s: float, lasted_s: float) -> Iterator[str]:
    yield text(GAP + 4, 25, "forged", size=17, color=TEXT, weight=600)
    yield text(GAP + 72, 25, f"last {lasted_s / 60:.0f} minutes", size=11)
    yield text(24 * UNIT_X, 25, SAYS, size=9, anchor="end")
    y, pens = float(HEAD), Pens({})
    for row in PICTURED:
        yield text(GAP + 4, y + 20, row.title, size=13, color=TEXT, weight=500)
        y += ROW
        yield from _row(real, row, y, step_s, pens)
        y += depth(row) * UNIT_Y


def _row(real: Scene, row: Row, y: float, step_s: float, pens: Pens) -> Iterator[str]:
    for panel, x, below in places(row):
        frame = Box(x * UNIT_X + GAP, y + below * UNIT_Y, panel.width * UNIT_X - GAP, panel.height * UNIT_Y - GAP)
        yield from _panel(real, panel, frame, step_s, pens)


def _panel(real: Scene, panel: Panel, frame: Box, step_s: float, pens: Pens) -> Iterator[str]:
    yield rectangle(frame, "#181b1f", radius=3)
    yield text(frame.x + 9, frame.y + 17, panel.title, size=11, color=FAINT if panel.height < 5 else TEXT, weight=500)
    inside = Box(frame.x + 4, frame.y + 24, frame.width - 8, frame.height - 28)
    yield from KINDS[panel.look](panel, real.series(panel, step_s), inside, pens)
