"""Promises 6, 10 and 12: a hundred hostile boxes at once, each with a lie of its own, and an honest one beside them.

The daemon is real, and so is the sshd of the boxes; in the place of their python3 stands an impostor (`impostor`). What the honest
box makes comes home all the time, the daemon's memory and descriptors stay bounded, nothing commands a terminal, and when the
hostile ones are gone nothing of them is left. Half a minute in `make test`; as a campaign FORGED_MINUTES.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.soak import impostor
from tests.support.daemon import Daemon, daemon, until
from tests.support.sshd import BOX_PATH, Sshd
from tests.support.sshd import sshd as running_sshd

REPOSITORY = Path(__file__).parents[2]

MOST_MEMORY_BYTES = 600 << 20
"""A daemon of a hundred honest targets that are connected takes some 250 MB; what a lie may cost comes on top."""


@contextmanager
def hostile_boxes(identity_of: Sshd) -> Iterator[Sshd]:
    """A server on which python3 is an impostor."""
    folder = Path(tempfile.mkdtemp(prefix="forged-lies-", dir="/tmp"))
    folder.chmod(0o755)
    python3 = folder / "python3"
    python3.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -S -m tests.soak.impostor "$@"\n')
    python3.chmod(0o755)
    try:
        with running_sshd(f"SetEnv HOME={folder} PATH={folder}:{BOX_PATH}\nMaxStartups 1000") as server:
            server.authorize(identity_of.identity.with_suffix(".pub"))
            yield server
    finally:
        shutil.rmtree(folder)


class Meter(threading.Thread):
    """Looks at a process now and then."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="meter", daemon=True)
        self._process = psutil.Process(pid)
        self.most_bytes = self.most_files = 0
        self._ended = threading.Event()

    def now(self) -> tuple[int, int]:
        """Memory in bytes, open files."""
        return self._process.memory_info().rss, self._process.num_fds()

    def run(self) -> None:
        while not self._ended.wait(0.2):
            size_bytes, files = self.now()
            self.most_bytes, self.most_files = max(self.most_bytes, size_bytes), max(self.most_files, files)

    def end(self) -> None:
        self._ended.set()
        self.join()


class Maker(threading.Thread):
    """Somebody who makes pictures at the honest box, and sees when they are home."""

    def __init__(self, house: Daemon) -> None:
        super().__init__(name="maker", daemon=True)
        self._box, self._home = house.box("honest"), house.home("honest")
        self._chance = random.Random(1)
        self.made: dict[str, bytes] = {}
        self.took_s: list[float] = []
        self._ended = threading.Event()

    def run(self) -> None:
        for n in itertools.count():
            if self._ended.wait(0.3):
                return
            self._make(f"{n:06}.bin")

    def _make(self, name: str) -> None:
        data, began_s = self._chance.randbytes(self._chance.randrange(1, 300_000)), time.monotonic()
        (self._box / name).write_bytes(data)
        self.made[name] = data
        while not (self._home / name).exists() and not self._ended.wait(0.02):
            pass
        self.took_s.append(time.monotonic() - began_s)

    def end(self) -> None:
        self._ended.set()
        self.join()

    def all_home(self) -> bool:
        return all((self._home / name).exists() for name in self.made)


@dataclass
class Figures:
    """What a campaign did, for the person who ran it."""

    minutes: float = 0.0
    hostile_targets: int = 0
    lies: int = 0
    connections: int = 0
    files_home: int = 0
    slowest_s: float = 0.0
    median_s: float = 0.0
    memory_before_bytes: int = 0
    most_memory_bytes: int = 0
    memory_after_bytes: int = 0
    most_open_files: int = 0
    open_files_before: int = 0
    open_files_after: int = 0
    log_lines: int = 0
    kinds: dict[str, int] = field(default_factory=dict)


def campaign(house: Daemon, boxes: Sshd, lies: list[str], minutes: float) -> Figures:
    """An honest target alone, then beside all the others, then alone again."""
    figures = Figures(hostile_targets=len(lies), lies=len(set(lies)))
    house.start()
    house.until("idle", "honest")
    assert house.process is not None
    meter, maker = Meter(house.process.pid), Maker(house)
    figures.memory_before_bytes, figures.open_files_before = meter.now()
    began_s = time.monotonic()
    for number, lie in enumerate(lies):
        _add(house, boxes, f"lie{number}", f"{lie}-{number}")
    _reload(house)
    meter.start()
    maker.start()
    while time.monotonic() - began_s < 60 * minutes:
        time.sleep(1)
        house.call("daemon.status")
    _look_at(house, figures)
    house.targets = {"honest": house.targets["honest"]}
    _reload(house)
    maker.end()
    until(maker.all_home)
    meter.end()
    until(lambda: not boxes.children(), lambda: f"left behind: {len(boxes.children())}")
    time.sleep(2)
    figures.minutes = round((time.monotonic() - began_s) / 60, 1)
    figures.most_memory_bytes, figures.most_open_files = meter.most_bytes, meter.most_files
    figures.memory_after_bytes, figures.open_files_after = meter.now()
    figures.files_home, figures.slowest_s = len(maker.took_s), round(max(maker.took_s), 1)
    figures.median_s = round(sorted(maker.took_s)[len(maker.took_s) // 2], 2)
    for name, data in maker.made.items():
        assert (house.home("honest") / name).read_bytes() == data
    figures.connections = boxes.log().count("Starting session: command")
    _nothing_paints(house.log())
    figures.log_lines = len(house.log().splitlines())
    house.stop()
    return figures


def _add(house: Daemon, boxes: Sshd, name: str, lie: str) -> None:
    house.targets[name] = ""
    house.sources[name] = boxes.url(f"/lies/{lie}")
    house.home(name).mkdir(exist_ok=True)


def _reload(house: Daemon) -> None:
    house.write()
    assert house.call("daemon.reload")["success"]


def _look_at(house: Daemon, figures: Figures) -> None:
    """How the targets stand, and that what is shown of them is harmless, and says what to do."""
    for target in house.call("target.list", limit=1_000)["targets"]:
        for problem in target["problems"]:
            figures.kinds[problem["kind"]] = figures.kinds.get(problem["kind"], 0) + 1
            assert problem["hint"], problem
            assert problem["message"].isprintable(), problem


def _nothing_paints(log: str) -> None:
    assert all(line.isprintable() for line in log.replace("\t", " ").split("\n")), "the log holds what a terminal would obey"


def _held(house: Daemon, figures: Figures) -> None:
    assert figures.most_memory_bytes < MOST_MEMORY_BYTES, figures
    assert figures.open_files_after <= figures.open_files_before + 10, figures


def test_a_hundred_hostile_boxes_for_a_moment(sshd: Sshd) -> None:
    lies = impostor.names()
    with hostile_boxes(sshd) as boxes, daemon(sshd, honest='watch = "auto"') as house:
        figures = campaign(house, boxes, lies, minutes=float(os.environ.get("FORGED_MINUTES", "0.5")))
        print(json.dumps(asdict(figures), indent=1))
        _held(house, figures)
