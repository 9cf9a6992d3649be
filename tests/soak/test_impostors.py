"""Promises 6, 10 and 12: a hundred hostile boxes at once, each with a lie of its own, and an honest one beside them.

The daemon is real, and so is the sshd of the boxes; in the place of their python3 stands an impostor (`impostor`). What the honest
box makes comes home all the time, the daemon's memory and descriptors stay bounded, nothing commands a terminal, and when the
hostile ones are gone nothing of them is left. A few seconds of it in `make test`; a hundred boxes as a campaign (FORGED_MINUTES).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from forged.model.errors import SourceBroken
from forged.model.observer import Nobody
from forged.model.target import SourceAddress, SourceKind
from forged.sources.hostkeys import ForgetfulPins
from forged.sources.ssh import ssh_source
from tests.soak import impostor, sftp_boxes
from tests.soak.sftp_boxes import SftpBoxes
from tests.support.daemon import Daemon, daemon
from tests.support.sshd import BOX_PATH, Sshd
from tests.support.sshd import sshd as running_sshd
from tests.support.world import TARGET

REPOSITORY = Path(__file__).parents[2]

MOST_BYTES_A_LIE = 6 << 20
"""What one hostile box may cost in memory, on top of what a daemon takes."""

ONCE_BYTES = 100 << 20
"""What a daemon takes once when there is much to do: [transfer] in_flight (64 MB), and memory that it shares with its helper."""

MOST_BYTES_AN_SFTP_LIE = 12 << 20
"""The same on average, where few of them are folders without end: each of those costs 34 MiB before it is given up, since SFTP
tells names in no order, and a folder must be sorted before its first file can be told."""

MOST_FILES_KEPT = 10
"""More open files than before, when all hostile boxes are gone: connections of the database that stay open for the next reader."""

PATIENCE_S = 600.0
"""A machine that a hundred impostors share with others is slow."""


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

    def kinds(self) -> Counter[str]:
        """Open files by what they are: `socket`, `anon_inode`, a path."""
        folder = Path(f"/proc/{self._process.pid}/fd")
        return Counter(os.readlink(fd).partition(":")[0] for fd in folder.iterdir() if fd.is_symlink())

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

    def missing(self) -> list[str]:
        return [name for name in self.made if not (self._home / name).exists()]

    def differing(self) -> list[str]:
        return [name for name, data in self.made.items() if (self._home / name).read_bytes() != data]


@dataclass
class Figures:
    """What a campaign did, for the person who ran it."""

    minutes: float = 0.0
    hostile_targets: int = 0
    lies: int = 0
    sessions: int = 0
    files_home: int = 0
    median_s: float = 0.0
    slowest_s: float = 0.0
    slowest_answer_s: float = 0.0
    memory_before_mb: int = 0
    most_memory_mb: int = 0
    memory_after_mb: int = 0
    open_files_before: int = 0
    most_open_files: int = 0
    open_files_after: int = 0
    log_bytes: int = 0
    more_open: dict[str, int] = field(default_factory=dict)
    """What is open in the end, and was not in the beginning, by kind."""
    seen: dict[str, int] = field(default_factory=dict)
    """Problems of targets by their kind, added up over all looks."""


class Campaign:
    """An honest target alone, then beside all the others, then alone again."""

    def __init__(self, house: Daemon, boxes: Sshd | SftpBoxes, lies: list[str]) -> None:
        self.house, self.boxes, self.lies = house, boxes, lies
        self.figures = Figures(lies=len(set(lies)))
        self._told_minutes = 0.0

    def run(self, minutes: float) -> Figures:
        house, figures = self.house, self.figures
        house.spawn()
        house.told("READY=1", PATIENCE_S)
        assert house.process is not None
        meter, maker = Meter(house.process.pid), Maker(house)
        _until(lambda: house.standing("honest")["state"] == "idle")
        before_bytes, figures.open_files_before = meter.now()
        kinds = meter.kinds()
        figures.memory_before_mb = before_bytes >> 20
        began_s = time.monotonic()
        meter.start()
        maker.start()
        try:
            self._add_all()
            while time.monotonic() - began_s < 60 * minutes:
                time.sleep(1)
                self._look()
                self._note(began_s, meter, maker)
            self._remove_all()
        finally:
            maker.end()
            meter.end()
        _until(lambda: not maker.missing())
        _until(lambda: not self.boxes.children())
        time.sleep(1)
        self._note(began_s, meter, maker)
        after_bytes, figures.open_files_after = meter.now()
        figures.memory_after_mb = after_bytes >> 20
        figures.more_open = dict(meter.kinds() - kinds)
        assert maker.differing() == []
        assert all(line.isprintable() for line in house.log().split("\n")), "the log holds what a terminal would obey"
        house.stop(within_s=PATIENCE_S)
        return figures

    def _note(self, began_s: float, meter: Meter, maker: Maker) -> None:
        """Writes down how it stands; what is shown of a run that is cut short is worth something, too."""
        figures, took_s, log = self.figures, sorted(maker.took_s), self.house.log()
        figures.minutes = round((time.monotonic() - began_s) / 60, 1)
        figures.most_memory_mb, figures.most_open_files = meter.most_bytes >> 20, meter.most_files
        figures.sessions, figures.log_bytes = self.boxes.log().count("Starting session: command"), len(log)
        if took_s:
            figures.files_home, figures.slowest_s = len(took_s), round(took_s[-1], 1)
            figures.median_s = round(took_s[len(took_s) // 2], 2)
        if figures.minutes - self._told_minutes >= 1:
            self._told_minutes = figures.minutes
            print(json.dumps(asdict(figures)), flush=True)

    def _add_all(self) -> None:
        """A few at a time, as they are given to a person."""
        for number, lie in enumerate(self.lies):
            name = f"lie{number}"
            self.house.targets[name] = ""
            self.house.sources[name] = self.boxes.url(f"/lies/{lie}-{number}")
            self.house.home(name).mkdir()
            if number % 5 == 4 or number == len(self.lies) - 1:
                self._reload()
                self.figures.hostile_targets = number + 1

    def _remove_all(self) -> None:
        self.house.targets = {"honest": self.house.targets["honest"]}
        self._reload()

    def _reload(self) -> None:
        self.house.write()
        assert self._asked("daemon.reload")["success"]

    def _asked(self, method: str, **params: Any) -> Any:
        began_s = time.monotonic()
        with self.house.client(PATIENCE_S) as client:
            answer = client.call(method, **params)
        if method != "daemon.reload":  # that one ends a hundred targets, one after the other
            self.figures.slowest_answer_s = max(self.figures.slowest_answer_s, round(time.monotonic() - began_s, 2))
        return answer

    def _look(self) -> None:
        """How the targets stand, and that what is shown of them is harmless, and says what to do."""
        for target in self._asked("target.list", limit=1_000)["targets"]:
            for problem in target["problems"]:
                self.figures.seen[problem["kind"]] = self.figures.seen.get(problem["kind"], 0) + 1
                assert problem["hint"], problem
                assert problem["message"].isprintable(), problem


def _until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.1)


def nothing_was_lost(figures: Figures, most_bytes_a_lie: int = MOST_BYTES_A_LIE) -> None:
    assert figures.files_home > 0
    most_mb = figures.hostile_targets * most_bytes_a_lie + ONCE_BYTES >> 20
    assert figures.most_memory_mb - figures.memory_before_mb < most_mb, figures
    assert figures.open_files_after <= figures.open_files_before + MOST_FILES_KEPT, figures


def a_few_lies() -> list[str]:
    """Each fault at one of the steps, and all that need none."""
    steps = itertools.cycle(impostor.STEPS)
    kinds = dict.fromkeys(name.partition(".")[0] for name in impostor.names())
    return [f"{kind}.{next(steps)}" if f"{kind}.START" in impostor.names() else kind for kind in kinds]


HARDEST = (
    "Hangs.FETCH",
    "Dies.LIST",
    "FloodsWithBeats.LIST",
    "AnswersAnother.CLOCK",
    "FloodsStandardError.LIST",
    "NeverSettles",
    "LongPaths",
    "EndlessProblems",
    "PaintedNames",
    "Crumbs",
    "FloodsWithUnsettledNews",
)
"""One of each kind, those that cost the daemon most."""


@pytest.mark.timeout(900)
def test_an_honest_box_among_hostile_ones(sshd: Sshd) -> None:
    with hostile_boxes(sshd) as boxes, daemon(sshd, honest="") as house:
        nothing_was_lost(Campaign(house, boxes, list(HARDEST)).run(minutes=0.1))


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_a_hundred_hostile_boxes_beside_an_honest_one() -> None:
    minutes, targets = float(os.environ.get("FORGED_MINUTES", "20")), int(os.environ.get("FORGED_TARGETS", "100"))
    lies = list(itertools.islice(itertools.cycle([*a_few_lies(), *impostor.names()]), targets))
    with running_sshd() as own, hostile_boxes(own) as boxes, daemon(own, honest="") as house:
        figures = Campaign(house, boxes, lies).run(minutes)
        print(json.dumps(asdict(figures), indent=1))
    nothing_was_lost(figures)


@pytest.mark.timeout(900)
def test_an_honest_box_among_hostile_sftp_servers(sshd: Sshd) -> None:
    with sftp_boxes.sftp_boxes(sshd) as boxes, daemon(sshd, honest="") as house:
        figures = Campaign(house, boxes, list(sftp_boxes.HARDEST)).run(minutes=0.1)
    nothing_was_lost(figures, MOST_BYTES_AN_SFTP_LIE)


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_a_hundred_hostile_sftp_servers_beside_an_honest_box() -> None:
    minutes, targets = float(os.environ.get("FORGED_MINUTES", "20")), int(os.environ.get("FORGED_TARGETS", "100"))
    lies = list(itertools.islice(itertools.cycle(sftp_boxes.LIES), targets))
    with running_sshd() as own, sftp_boxes.sftp_boxes(own) as boxes, daemon(own, honest="") as house:
        figures = Campaign(house, boxes, lies).run(minutes)
        print(json.dumps(asdict(figures), indent=1))
    nothing_was_lost(figures, MOST_BYTES_AN_SFTP_LIE)


async def test_a_flood_on_standard_error_ends_the_connection(sshd: Sshd, tmp_path: Path) -> None:
    """Nobody grants what is said there, so nothing else would end it."""
    with hostile_boxes(sshd) as boxes:
        address = SourceAddress(SourceKind.SSH, "/lies/FloodsStandardError.CLOCK", "127.0.0.1", boxes.user, boxes.port)
        target = replace(TARGET, source=address, ssh=replace(TARGET.ssh, identity_file=sshd.identity))
        async with asyncio.timeout(100), ssh_source(target, ForgetfulPins(), Nobody(), tmp_path) as source:
            with pytest.raises(SourceBroken, match="standard error") as broken:
                await source.clock_ns()
    assert "login script" in broken.value.hint
