"""Figures of single runs, kept as lines of JSON as they come, and what follows from several of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """One race: a set over a link to a place. `buffers` and `place` are values of Buffers and Place, by name."""

    data: str
    link: str
    buffers: str
    place: str


@dataclass(frozen=True)
class Run:
    """One contestant's one run. `why`: what went wrong, or empty. `agent_bytes`: peak memory at the source, without sshd."""

    cell: Cell
    contestant: str
    told: str
    wall_s: float
    home_cpu_s: float
    far_cpu_s: float
    home_peak_bytes: int
    agent_bytes: int
    to_home_bytes: int
    to_source_bytes: int
    why: str = ""


@dataclass(frozen=True)
class Summary:
    """Medians of what one contestant did in one race. `wall_s` is None where it never came to a good end."""

    contestant: str
    wall_s: float | None
    cpu_s: tuple[float, float]
    home_peak_bytes: int
    agent_bytes: int
    wire_bytes: float
    runs: int
    why: str


def summary(runs: Sequence[Run]) -> Summary:
    """Medians; of memory, the most."""
    good = [run for run in runs if not run.why]
    used = good or runs
    return Summary(
        runs[0].contestant,
        statistics.median(run.wall_s for run in good) if good else None,
        (statistics.median(run.home_cpu_s for run in used), statistics.median(run.far_cpu_s for run in used)),
        max(run.home_peak_bytes for run in used),
        max(run.agent_bytes for run in used),
        statistics.median(run.to_home_bytes + run.to_source_bytes for run in used),
        len(runs),
        next((run.why for run in runs if run.why), ""),
    )


def races(runs: Iterable[Run]) -> dict[Cell, list[Summary]]:
    """Each race and how its contestants did, in the order they came."""
    sorted_out: dict[Cell, dict[str, list[Run]]] = {}
    for run in runs:
        sorted_out.setdefault(run.cell, {}).setdefault(run.contestant, []).append(run)
    return {cell: [summary(of) for of in by_name.values()] for cell, by_name in sorted_out.items()}


def ratio(summaries: Sequence[Summary], to: str, whose: str = "forged") -> float | None:
    """Median wall time of one over that of another; None where one of them is missing."""
    times = {each.contestant: each.wall_s for each in summaries}
    mine, other = times.get(whose), times.get(to)
    return mine / other if mine and other else None


def begin(path: Path, head: str) -> None:
    """A file that is there already is gone on with; each stretch begins with what it ran on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({"about": head}) + "\n")


def append(path: Path, run: Run) -> None:
    with path.open("a") as file:
        file.write(json.dumps(asdict(run)) + "\n")


def read(path: Path) -> tuple[str, list[Run]]:
    """What it ran on (the last one, where there are several), and all runs."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    heads = [row["about"] for row in rows if "about" in row]
    return heads[-1], [Run(**row | {"cell": Cell(**row["cell"])}) for row in rows if "cell" in row]
