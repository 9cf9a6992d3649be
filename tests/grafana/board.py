"""forged's dashboard: which rows, where each panel is, what can be chosen. `python -m tests.grafana` writes it to etc/.

It is here and not only there because 40 panels of JSON cannot be read, and because the tests and the picture need the same list.
"""

from __future__ import annotations

from tests.grafana.asking import daemon
from tests.grafana.lower_rows import CLEANUP, HOME, ITSELF, LIBRARY, TROUBLE
from tests.grafana.panels import DATASOURCE, Json, Look, Panel, Row, panel_json
from tests.grafana.rows import BACKLOG, LATENCY, NOW, TARGETS, THROUGHPUT

ROWS = (NOW, TARGETS, THROUGHPUT, BACKLOG, LATENCY, TROUBLE, CLEANUP, LIBRARY, HOME, ITSELF)


def dashboard() -> Json:
    """The whole of it, as Grafana imports it."""
    return {
        "__inputs": [],
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.4.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": look.value, "name": look.value, "version": ""} for look in Look),
        ],
        "id": None,
        "uid": "forged",
        "title": "forged",
        "description": "AI-generated media on its way home from rented boxes: what comes, what waits, what is wrong.",
        "tags": ["forged"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "timezone": "browser",
        "time": {"from": "now-3h", "to": "now"},
        "timepicker": {},
        "refresh": "30s",
        "links": [],
        "annotations": {"list": [_restarts()]},
        "templating": {"list": [_datasource(), _variable("instance", "forged_build_info"), _targets()]},
        "panels": list(_placed()),
    }


def _placed() -> list[Json]:
    """Rows below each other, their panels from left to right."""
    placed: list[Json] = []
    y = 0
    for row in ROWS:
        head = {"collapsed": False, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}, "id": len(placed) + 1, "panels": []}
        placed.append({"type": "row", "title": row.title, **head})
        y += 1
        for panel, x, below in places(row):
            placed.append(panel_json(panel, len(placed) + 1, x, y + below))
        y += depth(row)
    return placed


def places(row: Row) -> list[tuple[Panel, int, int]]:
    """Each panel of a row with its x, and its y below the row's head."""
    found, x, y, tallest = [], 0, 0, 0
    for panel in row.panels:
        if x + panel.width > 24:
            x, y, tallest = 0, y + tallest, 0
        found.append((panel, x, y))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return found


def depth(row: Row) -> int:
    return max(y + panel.height for panel, _, y in places(row))


def _datasource() -> Json:
    return {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "refresh": 1, "hide": 0}


def _variable(name: str, metric: str, everything: str | None = None) -> Json:
    """`everything`: the pattern for All; without it, all values that were found: the process metrics of other programs, which are
    in the same Prometheus, have other instances.
    """
    query = f"label_values({metric}, {name})"
    return {
        "type": "query",
        "name": name,
        "label": name.capitalize(),
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery", "qryType": 5},
        "includeAll": True,
        "allValue": everything,
        "multi": True,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _targets() -> Json:
    """All is also what is about no target, such as the limit for all together."""
    return _variable("target", 'forged_files_transferred_total{instance=~"$instance"}', ".*")


def _restarts() -> Json:
    return {
        "name": "Starts of forged",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"changes({daemon('process_start_time_seconds')}[1m]) > 0",
        "titleFormat": "forged was started",
        "textFormat": "{{instance}}",
        "step": "1m",
    }
