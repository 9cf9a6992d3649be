"""Promise 12 at the control socket: whatever bad peers of several users do at once, an honest one is answered, and all is given
back.

A real daemon that brings files home meanwhile. As root the bad peers are other users: one whom the socket's group lets act, and
some who may only look. A few seconds in `make test`, minutes as a campaign (FORGED_MINUTES, FORGED_SEED).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from forged.model.errors import ForgedError
from tests.soak.peers import Role
from tests.support.daemon import Daemon, daemon, until
from tests.support.sshd import Sshd

NOBODY, NOGROUP, GROUP = 65_534, 65_534, 64_999
"""The last is a group that no machine has: its number needs no name."""

ANSWER_LIMIT_S = 30.0
"""How long an honest question may take on a busy machine, connecting apart; usually it is milliseconds."""

REST_LIMIT_S = 120.0
"""For a start, and for coming to rest: long campaigns are run with what time others leave over."""

BESIDE_BYTES = 150_000_000
"""What the daemon may have at the worst moment, besides the bounds of the socket: 64 MiB unread, 2 MiB for each of 256 lines."""

KEPT_BYTES = 40_000_000
"""What may be left afterwards: the allocator's pools, and the jobs and events that forged remembers."""

ROOT = Path(__file__).parents[2]


class Honest(threading.Thread):
    """Asks on one connection that stays, and on a new one each time; keeps how long each answer took."""

    def __init__(self, house: Daemon) -> None:
        super().__init__(name="honest", daemon=True)
        self.house, self.ended = house, threading.Event()
        self.took_s: list[float] = []
        self.wrong: list[Exception] = []

    def run(self) -> None:
        try:
            with self.house.client(ANSWER_LIMIT_S) as standing:
                while not self.ended.wait(0.05):
                    self._timed(lambda: standing.call("target.status", target="box"))
                    self._timed(self._anew)
        except (ForgedError, OSError, AssertionError) as error:  # told by who waits for this thread
            self.wrong.append(error)

    def _anew(self) -> dict[str, Any]:
        with self.house.client(ANSWER_LIMIT_S) as client:
            return client.call("daemon.status")  # type: ignore[no-any-return]

    def _timed(self, ask: Callable[[], dict[str, Any]]) -> None:
        began_s = time.monotonic()
        assert ask()["success"]
        self.took_s.append(time.monotonic() - began_s)


@dataclass(frozen=True)
class Weight:
    """What the daemon's process costs at one moment. `files`: sockets and the like; not those of its work (a pool of databases)."""

    memory_bytes: int
    files: int
    threads: int


@dataclass
class Figures:
    """What a campaign did, for the person who ran it."""

    minutes: float
    deeds: dict[str, int]
    honest_answers: int
    median_ms: float
    slowest_ms: float
    files_home: int
    before: Weight
    after: Weight
    most_memory_mb: int


def weight(house: Daemon) -> Weight:
    assert house.process is not None
    process = psutil.Process(house.process.pid)
    with process.oneshot():
        return Weight(process.memory_info().rss, len(_open_files(house)), process.num_threads())


def roles(house: Daemon, seconds: float, seed: int) -> list[Role]:
    """As root: somebody of the group, two who may only look, and root, who leaves seats for the honest one. Otherwise: only us."""
    ours = Role(house.control, seconds, seed, threads=2)
    if os.geteuid() != 0:
        return [ours]
    member = Role(house.control, seconds, seed + 1, 64_998, (NOGROUP, GROUP), "steer", most_connections=1_000)
    strangers = [
        Role(house.control, seconds, seed + 2 + number, uid, (NOGROUP,), "look", most_connections=1_000)
        for number, uid in enumerate((NOBODY, 64_997))
    ]
    return [ours, member, *strangers]


@contextmanager
def bad_peers(them: list[Role], did: Counter[str]) -> Iterator[None]:
    """Runs them until their time is over; fails where one of them was not treated as it should be."""
    with ExitStack() as stack:
        running = [stack.enter_context(_started(role)) for role in them]
        yield
        for role, process in zip(them, running, strict=True):
            out, err = process.communicate(timeout=role.seconds + 180)
            assert process.returncode == 0, f"as {role.level}:\n{err[-3000:]}\n{out}"
            did.update(json.loads(out))


@contextmanager
def _started(role: Role) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.soak.peers", json.dumps(asdict(role))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def asking(honest: Honest) -> Iterator[None]:
    """Ends it also after an error; then what it met meanwhile follows from that."""
    honest.start()
    try:
        yield
    finally:
        honest.ended.set()
        honest.join()
    assert honest.wrong == []


def campaign(house: Daemon, seconds: float, seed: int) -> Figures:
    honest, did, most_bytes, files, began_s = Honest(house), Counter[str](), 0, 0, time.monotonic()
    before = weight(house)
    with asking(honest), bad_peers(roles(house, seconds, seed), did):
        while time.monotonic() - began_s < seconds:
            (house.box() / f"{seed}-{files}.png").write_bytes(os.urandom(1_000))
            files += 1
            time.sleep(0.25)
            most_bytes = max(most_bytes, weight(house).memory_bytes)
    until(lambda: len(list(house.home().glob(f"{seed}-*.png"))) == files, lambda: house.log()[-3000:], REST_LIMIT_S)
    _all_is_given_back(house, before)
    took_s = sorted(honest.took_s)
    minutes = round((time.monotonic() - began_s) / 60, 1)
    median_ms, slowest_ms = round(1000 * took_s[len(took_s) // 2], 1), round(1000 * took_s[-1])
    mb = round(most_bytes / 1e6)
    return Figures(minutes, dict(did), len(took_s), median_ms, slowest_ms, files, before, weight(house), mb)


def _all_is_given_back(house: Daemon, before: Weight) -> None:
    until(lambda: house.call("daemon.status")["connections"] == 1, lambda: str(house.call("daemon.status")), REST_LIMIT_S)
    until(lambda: weight(house).files <= before.files, lambda: f"{before}: {_open_files(house)}", REST_LIMIT_S)
    assert house.lines(level="error") == []


def _open_files(house: Daemon) -> list[str]:
    assert house.process is not None
    folder = Path(f"/proc/{house.process.pid}/fd")
    names = list[str]()
    for fd in folder.iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            names.append(os.readlink(fd))
    return sorted(name for name in names if not name.startswith(str(house.root)))


@contextmanager
def warm_house(sshd: Sshd) -> Iterator[Daemon]:
    """A daemon that everybody may reach and that has brought a file and answered all kinds of questions already."""
    with daemon(sshd) as house:
        house.sources["box"] = str(house.box())
        house.daemon_lines += f'\nsocket_mode = "0666"\nsocket_group = "{GROUP}"' if os.geteuid() == 0 else ""
        house.write()
        house.spawn()
        house.told("READY=1", REST_LIMIT_S)
        (house.box() / "first.txt").write_bytes(b"x")
        until((house.home() / "first.txt").exists, house.log)
        yield house
        house.stop()


@pytest.mark.timeout(300)
def test_a_few_seconds_of_bad_peers(sshd: Sshd) -> None:
    with warm_house(sshd) as house:
        figures = campaign(house, seconds=5, seed=3)
    assert figures.honest_answers > 3


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_a_long_time_of_bad_peers() -> None:
    from tests.support.sshd import sshd as running_sshd

    minutes, seed = float(os.environ.get("FORGED_MINUTES", "20")), int(os.environ.get("FORGED_SEED", "1"))
    with running_sshd() as own, warm_house(own) as house:
        campaign(house, seconds=60, seed=seed + 1_000)  # pools and caches have their size from then on
        figures = campaign(house, 60 * minutes, seed)
        print(json.dumps(asdict(figures), indent=1))
    assert figures.most_memory_mb * 1e6 < figures.before.memory_bytes + BESIDE_BYTES + 64 * 2**20 + 256 * 2 * 2**20
    assert figures.after.memory_bytes < figures.before.memory_bytes + KEPT_BYTES
    assert figures.after.threads <= figures.before.threads + 4
