"""The rules of etc/prometheus as promtool sees them: each alert fires when it should and is silent when it should."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from forged.cli import forgectl
from forged.metrics import names
from tests.house.tree import ROOT
from tests.metrics.prometheus import needs_promtool, promtool

RULES = ROOT / "etc" / "prometheus"
RECORDED, ALERTS, TEST = (RULES / f"forged.{kind}.yml" for kind in ("rules", "alerts", "alerts.test"))


def alerts() -> dict[str, str]:
    """Each alert's text, by name."""
    parts = re.split(r"(?m)^ +- alert: ", ALERTS.read_text())[1:]
    return {part.split("\n")[0]: part for part in parts}


@needs_promtool
def test_promtool_finds_no_fault_in_rules_and_configuration() -> None:
    for arguments in (("rules", str(RECORDED), str(ALERTS)), ("config", str(RULES / "prometheus.yml"))):
        status, said = promtool("check", *arguments)
        assert status == 0, said
        assert "SUCCESS" in said
        assert "FAILED" not in said


@needs_promtool
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    status, said = promtool("test", "rules", str(TEST))
    assert status == 0, said


@needs_promtool
def test_without_the_alerts_every_one_is_missed(tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path, dirs_exist_ok=True)
    (tmp_path / ALERTS.name).write_text("groups: []\n")
    status, said = promtool("test", "rules", str(tmp_path / TEST.name))
    assert status != 0
    assert {name for name in alerts() if f'alertname=\\"{name}\\"' not in said} == set()


def test_each_alert_is_tested_before_during_and_after() -> None:
    asked = re.findall(r'alertname="(\w+)", alertstate="firing"}\)\', eval_time: (\w+), exp_samples: (.)(.)', TEST.read_text())
    course: dict[str, list[bool]] = {}
    for name, _, _, first in asked:
        course.setdefault(name, []).append(first != "]")
    assert list(course) == [*alerts()]
    for name, fires in course.items():
        assert (fires[0], True in fires, fires[-1]) == (False, True, False), name


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_why_and_what_to_do(name: str) -> None:
    said = dict(re.findall(r'(summary|description|command|severity): "?(.+?)[}"]?\n', alerts()[name]))
    assert set(said) == {"summary", "description", "command", "severity"}
    assert said["severity"] in ("critical", "warning", "info")
    assert re.search("forgectl|forged|promtool", said["command"])


def test_the_commands_of_alerts_are_commands_of_forgectl() -> None:
    named = [line for text in alerts().values() for line in re.findall(r"forgectl ([a-z][^;,()\"\n]*)", text)]
    assert len(named) > 20
    for line in named:
        word, *rest = shlex.split(line.replace("{{ $labels.target }}", "box"))
        command = forgectl.cli.get_command(None, word)  # type: ignore[arg-type]
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {argument for argument in rest if argument.startswith("--")} <= known, line


def test_rules_ask_for_no_metric_that_forged_does_not_have() -> None:
    known = {family.name for family in names.ALL} | {f"{names.BUILD_INFO}_info"}
    known |= {family.name + suffix for family in names.ALL if family.buckets for suffix in ("_bucket", "_sum", "_count")}
    text = "".join(path.read_text() for path in (RECORDED, ALERTS, TEST))
    text = re.sub(r"\w+:forged_\w+:\w+|forged\.(rules|alerts)\S*", "", text)
    asked = set(re.findall(r"\bforged_\w+", text))
    assert asked - known == set()
    recorded = set(re.findall(r"record: (\S+)", RECORDED.read_text()))
    assert set(re.findall(r"\b\w+:forged_\w+:\w+", ALERTS.read_text())) <= recorded
