"""What a real forged shows to a real Prometheus: each panel has something to draw, each metric is fed, no rule stumbles."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from forged.metrics import names
from forged.metrics.names import Family
from forged.model import errors
from forged.model.errors import ForgedError
from forged.model.files import ProblemKind
from forged.model.removal import KeptBecause
from forged.rules.safety import Doubt
from tests.grafana.__main__ import PICTURE
from tests.grafana.board import ROWS, dashboard
from tests.grafana.drawing import SAYS, drawn
from tests.grafana.panels import Panel
from tests.grafana.scene import Scene, scene
from tests.metrics.prometheus import complaints, needs_prometheus, needs_promtool
from tests.support.daemon import until
from tests.support.sshd import Sshd

pytestmark = needs_prometheus

PANELS = [panel for row in ROWS for panel in row.panels]


@pytest.fixture(scope="module")
def real(sshd: Sshd) -> Iterator[Scene]:
    with scene(sshd) as made:
        yield made


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_query_of_a_panel_finds_something(panel: Panel, real: Scene) -> None:
    answers = real.series(panel)
    assert [expr for expr, found in zip(panel.queries, answers, strict=True) if not found] == []
    values = [pair[1] for found in answers for one in found for pair in one.get("values", [one.get("value")])]
    assert any(math.isfinite(float(value)) for value in values)


def test_a_query_with_a_mistake_would_be_noticed(real: Scene) -> None:
    with pytest.raises(AssertionError, match="parse error"):
        real.answer("sum by target (forged_target_up)", now=True)
    assert real.answer("forged_target_upp", now=True) == []


def test_what_can_be_chosen_at_the_top(real: Scene) -> None:
    templating = dashboard()["templating"]
    assert isinstance(templating, dict)
    found = {}
    for variable in templating["list"][1:]:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
        assert asked is not None
        found[asked[2]] = real.prometheus.get(f"label/{asked[2]}/values", **{"match[]": real.told(asked[1])})
    assert found["target"] == ["cloud-4711", *sorted(real.forged.targets)]
    assert len(found["instance"]) == 1
    annotations = dashboard()["annotations"]
    assert isinstance(annotations, dict)
    real.answer(annotations["list"][0]["expr"], now=True)


def test_every_metric_is_fed(real: Scene) -> None:
    shown = {family.name for family in parse_text(real.forged.page())}
    missing = {family.name for family in names.ALL if family.name.removesuffix("_total") not in shown}
    assert missing == set()
    assert f"{names.BUILD_INFO}_info" in shown


STANDS = (
    *(names.TARGET_UP, names.TARGET_PAUSED, names.TARGET_HELD, names.WATCH_ACTIVE),
    *(names.CONNECTIONS, names.TRANSFERS_IN_FLIGHT, names.BYTES_IN_FLIGHT, names.MEDIA_QUEUE),
)
"""What there is to say of every target, whatever befalls it."""


@pytest.mark.parametrize("family", STANDS, ids=lambda family: family.name)
def test_it_is_told_of_every_target(family: Family, real: Scene) -> None:
    told = {one.labels["target"] for shown in parse_text(real.forged.page()) if shown.name == family.name for one in shown.samples}
    assert told == {"cloud-4711", *real.forged.targets}


@pytest.mark.parametrize("family", [names.BACKLOG_FILES, names.BACKLOG_BYTES, names.LAG], ids=lambda family: family.name)
def test_what_waits_is_told_of_every_target_that_was_ever_seen_in_whole(family: Family, real: Scene) -> None:
    told = {one.labels["target"] for shown in parse_text(real.forged.page()) if shown.name == family.name for one in shown.samples}
    assert told == {"cloud-4711", *real.forged.targets} - {"rests", "lost"}


def test_labels_come_from_the_configuration_or_from_fixed_words(real: Scene) -> None:
    kinds = {one().kind for one in vars(errors).values() if isinstance(one, type) and issubclass(one, ForgedError) and _plain(one)}
    allowed = {
        "target": {"", "cloud-4711", *real.forged.targets},
        "kind": kinds | {kind.value for kind in ProblemKind} | {"image", "video", "audio", "other"},
        "handler": {"catalog", "broken"},
        "discovery": {"cloud"},
        "reason": {word.value for word in (*KeptBecause, *Doubt)},
    }
    samples = [one for family in parse_text(real.forged.page()) if family.name.startswith("forged_") for one in family.samples]
    for label, words in allowed.items():
        assert {one.labels[label] for one in samples if label in one.labels} <= words


def _plain(kind: type[ForgedError]) -> bool:
    """Those that can be made of nothing."""
    return kind not in (errors.ConfigError, errors.Lacking)


@needs_promtool
def test_promtool_has_nothing_against_the_page_of_a_real_daemon(real: Scene) -> None:
    assert complaints(real.forged.page().encode()) == ""


def test_the_rules_work_and_their_words_are_filled_in(real: Scene) -> None:
    rules = [rule for group in real.prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []

    def active() -> dict[str, dict[str, Any]]:
        return {one["labels"]["alertname"]: one for one in real.prometheus.get("alerts")["alerts"]}

    expected = {"ForgedTargetDown", "ForgedTargetHeld", "ForgedIngestFailing"}
    until(lambda: expected <= active().keys(), lambda: str(sorted(active())))
    alerts = active()
    assert alerts["ForgedTargetHeld"]["annotations"]["summary"] == "studio is held (emptied)"
    assert alerts["ForgedTargetDown"]["annotations"]["summary"] == "lost cannot be reached"
    told = " ".join(words for one in alerts.values() for words in one["annotations"].values())
    assert not re.search(r"<error|<no value>|{{|}}", told)


def test_the_picture_can_be_drawn_and_says_what_it_is(real: Scene) -> None:
    for picture in (drawn(real), PICTURE.read_text()):
        root = ElementTree.fromstring(picture)
        words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {SAYS, "Targets", "Bytes coming home", "Kept by the last cleanup", "films", "forge"} <= words
        assert "nan" not in picture.lower()
