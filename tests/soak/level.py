"""What a long-running daemon holds, sampled: is it level, or does something grow with the work that goes through?"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import psutil

from tests.support.daemon import Daemon
from tests.support.sshd import Sshd

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """What is held at one moment, by the daemon and its helper together. `agents`: the processes at the box that are forged's."""

    processes: int
    rss_bytes: int
    descriptors: int
    threads: int
    tasks: int
    blocks: int
    agents: int
    agents_rss_bytes: int
    database_bytes: int
    jobs: int
    outbox: int
    versions: int


ROOM = Sample(
    processes=1,
    rss_bytes=12 * MB,
    descriptors=12,
    threads=6,
    tasks=24,
    blocks=40_000,
    agents=4,
    agents_rss_bytes=40 * MB,
    database_bytes=1 * MB,
    jobs=40,
    outbox=4_000,  # events are pruned every 15 s, and wait for the catalog while the machine is busy
    versions=400,
)
"""By how much the middle of the last third may lie above the middle of the third before it. What leaks one object, or one row, a
round or a call, goes far beyond this in twenty minutes; a free list that grows by a page, or garbage that waits to be collected,
does not. `versions` may still fill up: where that ends, the tests say themselves."""


class Levels:
    """Samples of one daemon, started by `counted`."""

    def __init__(self, house: Daemon, sshd: Sshd, numbers: Path) -> None:
        self._house, self._sshd, self._numbers = house, sshd, numbers
        self.samples: list[tuple[float, Sample]] = []

    def take(self) -> Sample:
        """One more."""
        assert self._house.process is not None
        held, counted = (
            _held(psutil.Process(self._house.process.pid)),
            json.loads(self._numbers.read_text()),
        )  # written before READY
        agents = _agents(self._sshd)
        state = self._house.root / "state"
        sample = Sample(
            *held,
            counted["tasks"],
            counted["blocks"],
            len(agents),
            sum(agents),
            sum(file.stat().st_size for file in state.glob("forged.db*")),
            *_rows(state / "forged.db"),
        )
        self.samples.append((time.monotonic(), sample))
        return sample

    def risen(self) -> list[str]:
        """What has grown, in words."""
        return risen([sample for _, sample in self.samples])


def risen(samples: Sequence[Sample]) -> list[str]:
    """Compares the last third with the one before it; the first third is for warming up."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    words = []
    for name in (field.name for field in fields(Sample)):
        before, after = (median(getattr(sample, name) for sample in part) for part in (middle, last))
        if after - before > getattr(ROOM, name):
            words.append(f"{name} rose from {before:,.0f} to {after:,.0f}")
    return words


def told(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """The middles of the thirds, for people."""
    third = max(len(samples) // 3, 1)
    parts = {"first": samples[:third], "second": samples[third : 2 * third], "third": samples[2 * third :]}
    return {
        name: {key: median(asdict(one)[key] for one in part) for key in asdict(part[0])} for name, part in parts.items() if part
    }


def _held(daemon: psutil.Process) -> tuple[int, int, int, int]:
    """Processes, resident bytes, descriptors, threads."""
    found = []
    for process in (daemon, *daemon.children(recursive=True)):
        with suppress(psutil.NoSuchProcess), process.oneshot():
            found.append((1, process.memory_info().rss, process.num_fds(), process.num_threads()))
    processes, rss_bytes, descriptors, threads = (sum(numbers) for numbers in zip(*found, strict=True))
    return processes, rss_bytes, descriptors, threads


def _agents(sshd: Sshd) -> list[int]:
    """The resident bytes of each agent at the box."""
    found = []
    for pid in sshd.children():
        try:
            process = psutil.Process(pid)
            if "forged-agent" in " ".join(process.cmdline()):
                found.append(process.memory_info().rss)
        except psutil.Error:
            continue
    return found


def _rows(file: Path) -> list[int]:
    """Jobs, events of the outbox, versions of files."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
        return [int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in ("jobs", "outbox", "versions")]
