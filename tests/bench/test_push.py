"""Push: from close() at the source to the final name at home, over a real sshd, with and without a line that is cut."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon, until
from tests.support.proxy import proxy
from tests.support.site import tree
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

FILES = 500
FILE_BYTES = 1_000_000
EVERY_S = 0.2
CUTS = 20
LOOK_S = 0.001
"""How often home is looked at: by so much the figures may be too large."""

DISK = os.environ.get("FORGED_BENCH_DIR", "/tmp")
"""A real disk: what lands is fsynced, and that is part of the figures."""

P50_MOST_S, P99_MOST_S = 0.060, 0.250
"""What is promised on loopback without cuts."""


@dataclass
class Arrivals(threading.Thread):
    """Sees when each awaited name appears at home."""

    home: Path
    awaited: dict[str, int] = field(default_factory=dict)
    latencies_s: dict[str, float] = field(default_factory=dict)
    ended: bool = False

    def __post_init__(self) -> None:
        super().__init__(name="arrivals", daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.ended:
            for name, closed_ns in list(self.awaited.items()):
                if (self.home / name).exists():
                    self.latencies_s[name] = (time.time_ns() - closed_ns) / 1e9
                    del self.awaited[name]
            time.sleep(LOOK_S)


@contextmanager
def arriving(home: Path) -> Iterator[Arrivals]:
    arrivals = Arrivals(home)
    arrivals.start()
    try:
        yield arrivals
    finally:
        arrivals.ended = True
        arrivals.join()


def write_all(box: Path, arrivals: Arrivals) -> None:
    """A file each `EVERY_S`, whatever the others do."""
    began_s = time.monotonic()
    for n in range(FILES):
        time.sleep(max(0.0, began_s + n * EVERY_S - time.monotonic()))
        name = f"{n:05}.png"
        data = os.urandom(FILE_BYTES)
        with (box / name).open("wb", buffering=0) as file:
            file.write(data)
        arrivals.awaited[name] = time.time_ns()


def figures(arrivals: Arrivals, **more: float) -> str:
    latencies = sorted(arrivals.latencies_s.values())
    cuts = statistics.quantiles(latencies, n=100)
    ms = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "most": latencies[-1]}
    return json.dumps({"files": len(latencies)} | {f"{name}_ms": round(1e3 * s, 1) for name, s in ms.items()} | more)


@pytest.mark.parametrize("source", ["ssh", "local"])
def test_push(sshd: Sshd, source: str) -> None:
    with daemon(sshd, DISK) as house, arriving(house.home()) as arrivals:
        if source == "local":
            house.sources["box"] = str(house.box())
            house.write()
        house.start()
        house.until("idle")
        until(lambda: house.standing()["watch"])
        write_all(house.box(), arrivals)
        until(lambda: not arrivals.awaited, house.log)
        print(source, figures(arrivals))
        assert tree(house.home()) == tree(house.box())
        latencies = statistics.quantiles(arrivals.latencies_s.values(), n=100)
        assert latencies[49] <= P50_MOST_S
        assert latencies[98] <= P99_MOST_S


async def test_push_over_a_line_that_is_cut_twenty_times(sshd: Sshd) -> None:
    async with proxy(sshd.port) as line:
        with daemon(sshd, DISK) as house, arriving(house.home()) as arrivals:
            await asyncio.to_thread(_started_behind, house, line.port)
            writing = asyncio.create_task(asyncio.to_thread(write_all, house.box(), arrivals))
            for _ in range(CUTS):
                await asyncio.sleep(FILES * EVERY_S / (CUTS + 1))
                line.cut()
            await writing
            await asyncio.to_thread(until, lambda: not arrivals.awaited, house.log)
            print("cut ssh", figures(arrivals, connections=line.line.connections))
            assert tree(house.home()) == tree(house.box())
            assert line.line.connections > CUTS


def _started_behind(house: Daemon, port: int) -> None:
    house.sources["box"] = f"ssh://{house.sshd.user}@127.0.0.1:{port}{house.box()}"
    house.targets["box"] = 'poll = "30s"'
    house.write()
    house.start()
    house.until("idle")
    until(lambda: house.standing()["watch"])
