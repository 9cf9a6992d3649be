"""The bench itself: that it still runs, and that it knows a copy from a bad one. No time is asserted."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.bench import contestants, results, sets
from tests.bench.net import why_not
from tests.bench.plan import LINKS, PARALLEL, programme
from tests.bench.report import CHECKOUT


@pytest.mark.root
@pytest.mark.skipif(bool(why_not()), reason=str(why_not()))
def test_a_race_of_a_handful_of_files(tmp_path: Path) -> None:
    lines, picture = tmp_path / "runs.json", tmp_path / "bench.svg"
    command = [
        sys.executable,
        "-m",
        "tests.bench",
        "--sets",
        "handful",
        "--rounds",
        "1",
        "--json",
        str(lines),
        "--svg",
        str(picture),
    ]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    _, runs = results.read(lines)
    assert [(run.contestant, run.why) for run in runs] == [("forged", ""), ("rsync", "")]
    assert all(run.to_home_bytes + run.to_source_bytes > 20 * 8_000 for run in runs)
    assert all(run.home_cpu_s > 0 and run.home_peak_bytes > 1_000_000 for run in runs)
    assert "| handful |" in done.stdout
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_a_bad_copy_is_known(tmp_path: Path) -> None:
    files = sets.Files.make("handful", tmp_path / "parked")
    (tmp_path / "home").mkdir()
    with files.at(tmp_path / "home"):
        assert files.missing(tmp_path / "home", sets.Then.FIRST) == 0
        first, second, *_ = sorted((tmp_path / "home" / "data").rglob("*.png"))
        first.write_bytes(first.read_bytes()[:-1] + b"?")
        second.unlink()
        assert files.missing(tmp_path / "home", sets.Then.FIRST) == 2


def test_what_has_changed_must_be_home_under_any_name(tmp_path: Path) -> None:
    files = sets.Files.make("handful", tmp_path / "parked")
    (tmp_path / "slot").mkdir()
    with files.at(tmp_path / "slot") as place:
        files.change(place)
        assert files.missing(tmp_path / "slot", sets.Then.CHANGED) == 0
        changed = next(path for path in place.rglob("*.png") if path.stat().st_mtime_ns != sets.WRITTEN_NS)
        assert files.missing(tmp_path / "slot", sets.Then.CHANGED) == 0
        changed.rename(changed.with_name("another.png"))
        assert files.missing(tmp_path / "slot", sets.Then.CHANGED) == 0
        (changed.with_name("another.png")).unlink()
        assert files.missing(tmp_path / "slot", sets.Then.CHANGED) == 1


def test_the_programme_names_what_there_is() -> None:
    for heat in programme(3):
        assert sets.named(heat.data).files in sets.MAKERS
        for name in heat.contestants:
            assert contestants.named(name, PARALLEL[heat.ground.link], LINKS[heat.ground.link] is not None).name == name


def test_a_cut_off_file_of_runs_tells_what_it_has(tmp_path: Path) -> None:
    cell = results.Cell("tiny", "50ms", "STOCK", "memory")
    times = {"forged": [1.0, 5.0, 2.0], "rsync": [4.0, 4.0, 9.0]}
    results.begin(tmp_path / "x" / "runs.json", "a machine")
    for name, walls_s in times.items():
        for wall_s in walls_s:
            results.append(tmp_path / "x" / "runs.json", results.Run(cell, name, name, wall_s, 1, 1, 1, 1, 1, 1))
    results.append(tmp_path / "x" / "runs.json", results.Run(cell, "lftp", "lftp", 9.0, 1, 1, 1, 1, 1, 1, "more than 9 s"))
    head, runs = results.read(tmp_path / "x" / "runs.json")
    summaries = results.races(runs)[cell]
    assert head == "a machine"
    assert results.ratio(summaries, "rsync") == 0.5
    assert results.ratio(summaries, "lftp") is None
