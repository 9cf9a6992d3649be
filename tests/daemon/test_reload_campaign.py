"""The configuration edited at random under load, and SIGHUP after each edit.

Nothing is lost, nothing comes twice, and a file that is wrong changes nothing and says so. Twenty edits in `make test`, two hundred
as a campaign.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forged.daemon.reload import NOT_CHANGED
from tests.support.daemon import Daemon, daemon, until
from tests.support.site import staged, tree
from tests.support.sshd import Sshd

STUDIOS = ("north", "south", "west")
"""Targets that stay, and whose boxes are written to all the time. Only their keys change."""

GUESTS = ("guest0", "guest1", "guest2")
"""Targets that come, go and change their names; their boxes hold some files from the start."""

VALID: dict[str, Callable[[random.Random], str]] = {
    "poll": lambda chance: f'"{chance.randint(1, 5)}s"',
    "bandwidth": lambda chance: chance.choice(['"off"', '"20MB/s"', '"4MB/s"', '"00:00,8MB/s 12:00,off"']),
    "exclude": lambda chance: chance.choice(["[]", '["*.tmp"]', '["*.tmp", "never/"]']),
    "parallel_transfers": lambda chance: str(chance.randint(1, 3)),
    "retry_attempts": lambda chance: str(chance.randint(1, 5)),
    "settle": lambda chance: f'"{chance.randint(0, 300)}ms"',
    "watch": lambda chance: chance.choice(['"auto"', '"off"']),
    "verify": lambda chance: chance.choice(["true", "false"]),
}
"""Keys of a target, and values that they may have without any file being unwanted in the end."""

CLEANUPS = ("", '[target.cleanup]\nage = "30d"', '[target.cleanup]\nage = "30d"\ndry_run = true\nevery = "1s"')

INVALID: tuple[Callable[[str], str], ...] = (
    lambda toml: toml + "\n[[target\n",
    lambda toml: toml.replace("[[target]]", "[[targett]]", 1),
    lambda toml: toml.replace('poll = "', 'poll = "-', 1),
    lambda toml: toml.replace("dest =", 'colour = "red"\ndest =', 1),
    lambda toml: toml.replace('min_free = "1MB"', 'min_free = "1 parsec"'),
    lambda toml: toml.replace('settle = "', "settle = 3 #", 1),
    lambda toml: toml + toml[toml.index("[[target]]") :],
    lambda toml: toml[: toml.rindex('"')],
    lambda toml: toml + "\n\x00",
)
"""What goes wrong when a file is edited by hand: syntax, unknown keys, wrong units and types, names twice, files cut off."""


@dataclass
class Edits:
    """The file as it is edited, at random but repeatably."""

    house: Daemon
    chance: random.Random
    guests: dict[str, str] = field(default_factory=dict)
    """Names of targets to the boxes they read."""
    names: int = 0

    def valid(self) -> None:
        """Changes one to three things, and the file stays right."""
        for _ in range(self.chance.randint(1, 3)):
            self.chance.choice([self._change_a_studio, self._change_a_studio, self._come_or_go, self._rename, self._limit_all])()
        self.house.write()

    def invalid(self) -> None:
        self.house.write()
        right = self.house.config.read_text()
        wrong = self.chance.choice(INVALID)(right)
        assert wrong != right
        self.house.config.write_text(wrong)

    def _change_a_studio(self) -> None:
        keys = self.chance.sample(sorted(VALID), self.chance.randint(0, 4))
        lines = [f"{key} = {VALID[key](self.chance)}" for key in keys]
        self.house.targets[self.chance.choice(STUDIOS)] = "\n".join([*lines, self.chance.choice(CLEANUPS)])

    def _come_or_go(self) -> None:
        box = self.chance.choice(GUESTS)
        for name in [name for name, there in self.guests.items() if there == box]:
            self._forget(name)
            return
        self._invite(box)

    def _invite(self, box: str) -> None:
        self.names += 1
        name = f"{box}-{self.names}"
        self.guests[name] = box
        self.house.targets[name] = ""
        self.house.sources[name] = self.house.sshd.url(self.house.root / "box" / box)
        self.house.home(name).mkdir(parents=True)

    def _forget(self, name: str) -> None:
        del self.guests[name], self.house.targets[name], self.house.sources[name]

    def _rename(self) -> None:
        if self.guests:
            name = self.chance.choice(sorted(self.guests))
            box = self.guests[name]
            self._forget(name)
            self._invite(box)

    def _limit_all(self) -> None:
        rate = self.chance.choice(["off", "30MB/s"])
        self.house.transfer_lines = f'min_free = "1MB"\nbandwidth = "{rate}"\nin_flight = "{self.chance.randint(8, 64)}MB"'

    def end(self) -> None:
        """The file as it began: everything may come home now."""
        for name in list(self.guests):
            self._forget(name)
        for name in STUDIOS:
            self.house.targets[name] = ""
        self.house.transfer_lines = 'min_free = "1MB"'
        self.house.write()


class Writers(threading.Thread):
    """Somebody who makes pictures in all studios until told to stop; now and then a film, a folder, or a picture anew."""

    def __init__(self, house: Daemon, chance: random.Random, pause_s: float) -> None:
        super().__init__(name="writers", daemon=True)
        self.house, self.chance, self.pause_s = house, chance, pause_s
        self.ended = threading.Event()
        self.files = self.size_bytes = 0

    def run(self) -> None:
        while not self.ended.is_set():
            self._make(self.house.box(self.chance.choice(STUDIOS)))
            self.ended.wait(self.pause_s)

    def _make(self, box: Path) -> None:
        folder = box / f"day{self.files // 40}" if self.chance.random() < 0.7 else box
        folder.mkdir(exist_ok=True)
        size = 3_000_000 if self.chance.random() < 0.02 else self.chance.randint(0, 60_000)
        (folder / f"{self.files:06}.png").write_bytes(self.chance.randbytes(size))
        self.files += 1
        self.size_bytes += size


@contextmanager
def writing(house: Daemon, chance: random.Random, pause_s: float) -> Iterator[Writers]:
    writers = Writers(house, chance, pause_s)
    writers.start()
    try:
        yield writers
    finally:
        writers.ended.set()
        writers.join()


@dataclass
class Figures:
    """What a campaign did, for the person who ran it."""

    edits: Counter[str] = field(default_factory=Counter)
    files: int = 0
    size_bytes: int = 0
    slowest_reload_s: float = 0.0
    duration_s: float = 0.0
    transferred: float = 0.0
    log_levels: Counter[str] = field(default_factory=Counter)


def campaign(house: Daemon, edits: int, seed: int, pause_s: float) -> Figures:
    chance = random.Random(seed)
    for n, guest in enumerate(GUESTS):
        (house.root / "box" / guest).mkdir()
        for number in range(20 * (n + 1)):
            (house.root / "box" / guest / f"{number}.png").write_bytes(chance.randbytes(1_000))
    file, figures = Edits(house, chance), Figures()
    house.start()
    began_s = time.monotonic()
    with writing(house, random.Random(seed + 1), pause_s) as writers:
        for _ in range(edits):
            right = chance.random() < 0.65
            (file.valid if right else file.invalid)()
            figures.edits["right" if right else "wrong"] += 1
            figures.slowest_reload_s = max(figures.slowest_reload_s, reloaded(house, right))
            time.sleep(chance.random() * 0.3)
        file.end()
        reloaded(house, True)
    figures.files, figures.size_bytes = writers.files, writers.size_bytes
    nothing_is_lost_and_nothing_comes_twice(house)
    figures.duration_s = time.monotonic() - began_s
    figures.transferred = sum(house.metric("forged_files_transferred_total", target=name) for name in STUDIOS)
    figures.log_levels.update(line["level"] for line in house.lines())
    house.stop()
    return figures


def reloaded(house: Daemon, right: bool) -> float:
    """Sends SIGHUP and waits for what systemd is told; answers how long that took. Looks whether it was judged as it should be."""
    before = None if right else [row["name"] for row in house.call("target.list")["targets"]]
    began_s = time.monotonic()
    house.send(signal.SIGHUP)
    house.told("RELOADING=1")
    answer = house.told("READY=1")
    took_s = time.monotonic() - began_s
    if right:
        assert "configuration reloaded" in answer, house.log()[-3000:]
        assert [row["name"] for row in house.call("target.list")["targets"]] == list(house.targets)
    else:
        assert NOT_CHANGED in answer
        refused = house.call("daemon.status")["last_reload"]
        assert (refused["success"], refused["message"]) == (False, NOT_CHANGED)
        assert [row["name"] for row in house.call("target.list")["targets"]] == before
    return took_s


def nothing_is_lost_and_nothing_comes_twice(house: Daemon) -> None:
    for name in STUDIOS:
        assert house.call("target.drain", target=name, timeout="60s")["safe_to_destroy"]
        assert tree(house.home(name)) == tree(house.box(name)), name
        until(lambda name=name: staged(house.home(name)) == [])  # type: ignore[misc]
        answer = house.call("target.verify", target=name, rehash=True)
        assert answer["counts"] == {"=": len(tree(house.box(name))), "-": 0, "+": 0, "*": 0}
        assert house.call("manifest.list", target=name)["total_files"] == len(tree(house.box(name)))
    for line in house.lines(level="error"):
        assert line["event"] == NOT_CHANGED, line
        assert line["problems"]


@pytest.fixture
def studios(sshd: Sshd) -> Iterator[Daemon]:
    with daemon(sshd, **dict.fromkeys(STUDIOS, "")) as made:
        yield made


def test_twenty_edits_under_load(studios: Daemon) -> None:
    figures = campaign(studios, 20, seed=3, pause_s=0.02)
    assert figures.edits["wrong"] >= 4
    assert figures.files > 50


@pytest.mark.campaign
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [int(os.environ.get("FORGED_SEED", "1"))])
def test_two_hundred_edits_under_load(studios: Daemon, seed: int) -> None:
    figures = campaign(studios, 200, seed, pause_s=0.02)
    print(json.dumps(figures.__dict__, indent=1))
