"""Every target under a fuzzer that is guided by the branches it reaches: `make fuzz` (FORGED_MINUTES for each, 5 if not given).

What it found is in build/fuzz from run to run: the corpus of each target, and the inputs that broke a promise.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.fuzz.target import NAMES

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "fuzz"


@dataclass(frozen=True)
class Figures:
    """What a campaign did, for the person who ran it."""

    target: str
    minutes: float
    executions: int
    edges: int
    """Branches of forged that some input has reached."""
    corpus: int
    """Inputs kept because each reached something new."""
    slowest_s: int
    peak_memory_mb: int


@pytest.mark.campaign
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("name", NAMES)
def test_no_input_breaks_a_promise(name: str) -> None:
    pytest.importorskip("atheris", reason="atheris is not here: pip install -e '.[fuzz]'")
    minutes, place = float(os.environ.get("FORGED_MINUTES", "5")), PLACE / name
    command = [sys.executable, "-m", "tests.fuzz", name, str(place), str(round(60 * minutes))]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    print(json.dumps(asdict(figures(name, minutes, ended.stderr)), indent=1))
    assert ended.returncode == 0, (
        f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}\nagain: python -m tests.fuzz {name} {place}/crash-…"
    )


def figures(name: str, minutes: float, told: str) -> Figures:
    """From libFuzzer's own words (llvm.org/docs/LibFuzzer.html, "Output")."""
    stats = {key: int(value) for key, value in re.findall(r"stat::(\w+):\s+(\d+)", told)}
    lines = re.findall(r"cov: (\d+) .*?corp: (\d+)/", told)
    edges, corpus = map(int, lines[-1]) if lines else (0, 0)
    executions, slowest_s = stats.get("number_of_executed_units", 0), stats.get("slowest_unit_time_sec", 0)
    return Figures(name, minutes, executions, edges, corpus, slowest_s, stats.get("peak_rss_mb", 0))
