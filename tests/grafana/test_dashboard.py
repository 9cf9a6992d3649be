"""The dashboard's JSON: as its description says, whole, and without a metric that forged does not have."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from forged.metrics import names
from tests.grafana.__main__ import DASHBOARD, text
from tests.grafana.board import ROWS
from tests.grafana.panels import DATASOURCE, Look, Panel

UNITS = {"none", "short", "s", "decbytes", "Bps", "percentunit"}
"""Of Grafana's words for units, those that are used; another one would be shown as it is written."""

BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def test_it_is_as_its_description_says() -> None:
    assert DASHBOARD.read_text() == text(), "run: python -m tests.grafana"


def test_it_can_be_imported_and_provisioned() -> None:
    """Import asks for nothing, and no datasource stands in it: that is chosen at the top."""
    assert (BOARD["id"], BOARD["__inputs"], BOARD["schemaVersion"]) == (None, [], 39)
    assert {"title", "uid", "templating", "time", "refresh", "annotations"} <= set(BOARD)
    required = {(one["type"], one["id"]) for one in BOARD["__requires"]}
    assert {("panel", panel["type"]) for panel in PANELS} | {("datasource", "prometheus")} <= required
    assert [one["name"] for one in BOARD["templating"]["list"]] == ["datasource", "instance", "target"]
    assert set(re.findall(r'"uid": "([^"]+)"', DASHBOARD.read_text())) == {"forged", DATASOURCE["uid"]}


def test_panels_have_their_own_numbers_and_places() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert 0 <= at["x"] < at["x"] + at["w"] <= 24
    for one, other in combinations(BOARD["panels"], 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or below)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_is_whole(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["datasource"] == DATASOURCE
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"] in UNITS
    steps = defaults["thresholds"]["steps"]
    assert steps[0]["value"] is None
    assert all(step["value"] is not None for step in steps[1:])
    asked = panel["targets"]
    assert [each["refId"] for each in asked] == [chr(65 + n) for n in range(len(asked))]
    assert all(each["instant"] is not each["range"] for each in asked)
    assert all('instance=~"$instance"' in each["expr"] for each in asked)


def test_names_of_panels_are_no_riddles() -> None:
    panels: list[Panel] = [panel for row in ROWS for panel in row.panels]
    assert len({(panel.title, panel.look) for panel in panels}) == len(panels)
    legends = [ask.legend for panel in panels if panel.look not in (Look.STAT, Look.TABLE) for ask in panel.asks]
    assert all(legends)


def test_it_shows_every_metric_and_asks_for_no_other() -> None:
    asked = {name for panel in PANELS for each in panel["targets"] for name in re.findall(r"\b[a-z]+_\w+(?={)", each["expr"])}
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in asked if name.startswith("forged_")}
    assert ours == {family.name for family in names.ALL} | {f"{names.BUILD_INFO}_info"}
    assert all(name.startswith(("process_", "python_")) for name in asked if not name.startswith("forged_"))
