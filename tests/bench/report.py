"""What the races have shown, as Markdown."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.bench import sets
from tests.bench.net import Buffers
from tests.bench.plan import LINKS
from tests.bench.results import Cell, Run, Summary, races, ratio

MB = 1e6
CHECKOUT = Path(__file__).parents[2]


def about() -> str:
    """The machine and the programs, in one line each."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    machine = f"{os.cpu_count()} cores, {memory_gb:.0f} GB, Linux {platform.release()}, TCP congestion control {congestion}"
    commit = said(["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"])
    programs = [
        said([name, option])
        for name, option in (("rsync", "--version"), ("ssh", "-V"), ("rclone", "version"), ("lftp", "--version"))
    ]
    return f"{machine}; forged {commit} on Python {platform.python_version()}; {'; '.join(filter(None, programs))}"


def said(argv: list[str]) -> str:
    """The first line of what a program says of itself; empty where there is no such program."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        return ""
    return " ".join(done.stdout.partition("\n")[0].split())


def markdown(head: str, runs: Sequence[Run]) -> str:
    """All of it: for each ground the times, then what they cost, then what is behind the words."""
    told = races(runs)
    parts = [head]
    for ground, cells in groupby(sorted(told, key=_ground), key=_ground):
        parts.append("\n".join(times(ground, {cell: told[cell] for cell in cells})))
    parts += ["\n".join(costs(told)), "\n".join(legend(told, runs)), "\n".join(troubles(told))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _ground(cell: Cell) -> tuple[str, str, str]:
    return cell.link, cell.buffers, cell.place


def times(ground: tuple[str, str, str], told: dict[Cell, list[Summary]]) -> Iterator[str]:
    """Median seconds, a row for each set, and the ratio that counts."""
    link, buffers, place = ground
    who = list(dict.fromkeys(each.contestant for summaries in told.values() for each in summaries))
    spec = LINKS[link]
    wire = f"{spec.rate_bit_per_s / 1e9:g} Gbit/s, MTU {spec.mtu_bytes}, " if spec else ""
    yield f"### {spec.name if spec else link}, to {place}\n"
    yield f"{wire}TCP buffers at most: {Buffers[buffers].text}. Median seconds; runs in brackets.\n"
    yield line(["set", *who, "forged/rsync"])
    yield line(["---", *("--:" for _ in who), "--:"])
    for cell, summaries in told.items():
        by_name = {each.contestant: each for each in summaries}
        yield line([cell.data, *(seconds(by_name.get(name)) for name in who), share(ratio(summaries, "rsync"))])


def costs(told: dict[Cell, list[Summary]]) -> Iterator[str]:
    """What each took beside time."""
    yield "### What it costs\n"
    yield "CPU seconds at both ends; memory at most, at home and at the source (there without sshd); bytes on the wire.\n"
    yield line(["set", "link", "buffers", "to", "who", "s", "CPU home", "CPU source", "MB home", "MB source", "MB wire"])
    yield line(["---"] * 5 + ["--:"] * 6)
    for cell, summaries in told.items():
        for each in summaries:
            figures = [*each.cpu_s, each.home_peak_bytes / MB, each.agent_bytes / MB]
            cells = [cell.data, cell.link, cell.buffers.lower(), cell.place, each.contestant, seconds(each)]
            yield line([*cells, *(f"{figure:.3g}" for figure in figures), f"{each.wire_bytes / MB:.4g}"])


def legend(told: dict[Cell, list[Summary]], runs: Sequence[Run]) -> Iterator[str]:
    """What stands behind the names."""
    for name in dict.fromkeys(cell.data for cell in told):
        yield f"- {name}: {sets.named(name).told}"
    for contestant, how in dict.fromkeys((run.contestant, run.told) for run in runs):
        where = dict.fromkeys(run.cell.link for run in runs if run.told == how and run.contestant == contestant)
        yield f"- {contestant} ({', '.join(where)}): `{how}`"


def troubles(told: dict[Cell, list[Summary]]) -> Iterator[str]:
    for cell, summaries in told.items():
        for each in summaries:
            if each.why:
                yield f"- {each.contestant}, {cell.data}, {cell.link}: {each.why}"


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def seconds(summary: Summary | None) -> str:
    if summary is None:
        return ""
    return f"{summary.wall_s:.3g} [{summary.runs}]" if summary.wall_s is not None else summary.why.partition(":")[0]


def share(figure: float | None) -> str:
    return f"**{figure:.2f}**" if figure else ""


def brief(run: Run) -> str:
    """One run, as it comes."""
    cell = run.cell
    where = f"{cell.data:8} {cell.link:9} {cell.buffers.lower():5} {cell.place:6} {run.contestant:8}"
    wire_mb, cpu = (run.to_home_bytes + run.to_source_bytes) / MB, f"CPU {run.home_cpu_s:5.2f} + {run.far_cpu_s:5.2f} s"
    memory = f"{run.home_peak_bytes / MB:4.0f} + {run.agent_bytes / MB:3.0f} MB"
    return f"{where} {run.wall_s:7.2f} s  {cpu}  {memory}  wire {wire_mb:8.2f} MB  {run.why}"
