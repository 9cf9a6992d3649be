"""Panels as forged's dashboard describes them, and what Grafana's JSON for them looks like.

The shapes are those that Grafana 11 writes when such a dashboard is exported ("schemaVersion" 39); newer ones bring them up to date
when they load them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

Json = dict[str, object]

Steps = tuple[tuple[str, float | None], ...]
"""Colours, each from a value on; the first from None."""

Words = tuple[tuple[str, str, str], ...]
"""What values mean: (value, word, colour)."""

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
"""The one that is chosen at the top of the dashboard: so it can be imported, and provisioned from a file, without an edit."""

PLUGIN = "11.0.0"


class Look(enum.Enum):
    """Grafana's word for a kind of panel."""

    STAT = "stat"
    LINES = "timeseries"
    TABLE = "table"
    HEATMAP = "heatmap"
    BARS = "bargauge"
    STATES = "state-timeline"


@dataclass(frozen=True, slots=True)
class Ask:
    """One query. `legend` is Grafana's template for the name of a series; `dashed`: a bound, not a measurement."""

    expr: str
    legend: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table: its query, title, and how its values are shown."""

    expr: str
    title: str
    unit: str = "none"
    steps: Steps = ()
    words: Words = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """`width` of 24, `height` in Grafana's units of some 30 pixels. `least`: where the axis begins; None: where it likes."""

    title: str
    look: Look
    why: str
    asks: tuple[Ask, ...] = ()
    width: int = 8
    height: int = 7
    unit: str = "short"
    steps: Steps = (("green", None),)
    columns: tuple[Column, ...] = ()
    words: Words = ()
    stacked: bool = False
    bars: bool = False
    spark: bool = False
    least: float | None = 0

    @property
    def queries(self) -> list[str]:
        """As they stand in the JSON."""
        return [each.expr for each in self.asks] + [each.expr for each in self.columns]


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


def _steps(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def _mapped(words: Words) -> list[Json]:
    if not words:
        return []
    options = {value: {"text": text, "color": color, "index": n} for n, (value, text, color) in enumerate(words)}
    return [{"type": "value", "options": options}]


def panel_json(panel: Panel, id: int, x: int, y: int) -> Json:
    """One panel at its place."""
    return {
        "id": id,
        "type": panel.look.value,
        "title": panel.title,
        "description": panel.why,
        "datasource": DATASOURCE,
        "pluginVersion": PLUGIN,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
        "targets": _targets(panel),
        "transformations": _transformations(panel),
    }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.look is Look.LINES else "thresholds"},
        "thresholds": _steps(panel.steps),
        "mappings": _mapped(panel.words),
        "noValue": "-",
        "custom": _custom(panel),
    }
    return defaults | ({"min": panel.least} if panel.least is not None and panel.look is Look.LINES else {})


def _custom(panel: Panel) -> Json:
    match panel.look:
        case Look.LINES:
            return {
                "drawStyle": "bars" if panel.bars else "line",
                "lineWidth": 1,
                "fillOpacity": 60 if panel.bars else 12,
                "gradientMode": "none" if panel.bars else "opacity",
                "lineInterpolation": "linear",
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "off" if len(panel.steps) < 2 else "dashed"},
            }
        case Look.STATES:
            return {"lineWidth": 0, "fillOpacity": 75}
        case Look.TABLE:
            return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True}
        case _:
            return {}


def _overrides(panel: Panel) -> list[Json]:
    if panel.look is Look.TABLE:
        return [_column(column) for column in panel.columns]
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": _letter(n)},
            "properties": [
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}},
                {"id": "custom.fillOpacity", "value": 0},
            ],
        }
        for n, ask in enumerate(panel.asks)
        if ask.dashed
    ]


def _column(column: Column) -> Json:
    properties: list[Json] = [{"id": "unit", "value": column.unit}]
    if column.words:
        properties.append({"id": "mappings", "value": _mapped(column.words)})
    if column.steps:
        properties.append({"id": "thresholds", "value": _steps(column.steps)})
    if column.words or column.steps:
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}


def _options(panel: Panel) -> Json:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    legend = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
    match panel.look:
        case Look.STAT:
            graph = {"graphMode": "area" if panel.spark else "none", "colorMode": "value", "justifyMode": "auto"}
            return {**graph, "reduceOptions": last, "orientation": "auto", "textMode": "auto", "wideLayout": True}
        case Look.LINES:
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case Look.STATES:
            return {"legend": legend, "tooltip": {"mode": "single"}, "showValue": "never", "mergeValues": True, "rowHeight": 0.8}
        case Look.BARS:
            return {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": last, "showUnfilled": True}
        case Look.HEATMAP:
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Blues", "exponent": 0.5, "steps": 64, "reverse": True},
                "filterValues": {"le": 1e-9},
                "legend": {"show": True},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single", "yHistogram": True},
                "yAxis": {"axisPlacement": "left", "unit": panel.unit},
            }
        case Look.TABLE:
            return {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": "Target", "desc": False}]}


def _targets(panel: Panel) -> list[Json]:
    form = {Look.TABLE: "table", Look.HEATMAP: "heatmap"}.get(panel.look, "time_series")
    instant = panel.look in (Look.TABLE, Look.BARS) or (panel.look is Look.STAT and not panel.spark)
    asks = panel.asks or tuple(Ask(column.expr) for column in panel.columns)
    return [
        {
            "refId": _letter(n),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": ask.expr,
            "legendFormat": ask.legend or "__auto",
            "format": form,
            "instant": instant,
            "range": not instant,
        }
        for n, ask in enumerate(asks)
    ]


def _transformations(panel: Panel) -> list[Json]:
    """The queries of a table become its columns: rows of the same target are one."""
    if panel.look is not Look.TABLE:
        return []
    titles = {f"Value #{_letter(n)}": column.title for n, column in enumerate(panel.columns)}
    order = {name: n for n, name in enumerate(["target", *titles])}
    organized = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": {"target": "Target", **titles}}
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": organized}]


def _letter(n: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[n]
