"""etc/metrics.md says of every metric what the code says, and what to do with it."""

from __future__ import annotations

import re

from forged.metrics import names
from forged.metrics.metrics import MOST_TARGETS
from tests.house.tree import ROOT
from tests.metrics.test_rules import alerts

PAGE = (ROOT / "etc" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(forged_\w+)` \| (\w+)((?: `\w+`,?)*) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def test_every_metric_is_there_as_it_is_in_the_code_and_no_other() -> None:
    written = {
        name: (kind, tuple(re.findall(r"\w+", labels)) or ("target",), says) for name, kind, labels, says, _ in ROW.findall(PAGE)
    }
    known = {family.name: (family.kind.value, family.labels, family.help) for family in names.ALL}
    build = {f"{names.BUILD_INFO}_info": ("info", ("version", "python"), names.BUILD_INFO_HELP)}
    assert written == known | build


def test_each_has_an_advice() -> None:
    assert [name for name, *_, advice in ROW.findall(PAGE) if len(advice) < 20 or not advice.endswith(".")] == []


def test_alerts_that_it_names_exist_and_none_is_forgotten() -> None:
    named = set(re.findall(r"\bForged[A-Z]\w+", PAGE))
    assert named <= set(alerts())
    assert set(alerts()) - named == {"ForgedDown", "ForgedAbsent", "ForgedRestarts"}  # of no metric of ours


def test_its_bound_is_the_bound() -> None:
    assert f"{MOST_TARGETS:,}\ntargets have any" in PAGE
