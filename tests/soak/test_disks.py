"""Promises 1, 2, 10, 11 and 12 on disks that fill, turn read-only, vanish, are exchanged, lose their power, fail or are slow.

A daemon with a home on each of several disks, one of which stays well, boxes that go on being written to, cleanup on, and now and
then a SIGKILL or a power cut of the whole machine. While a disk is in trouble its target waits and says so once, and the others go
on; when it is mended the target resumes by itself and says so once. In the end home holds what the ledgers say, sha256 by sha256.

A few faults in `make test`, hundreds as a campaign (FORGED_MINUTES, FORGED_SEED).
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from forged.kit.durable import FOLDER, NEW_FILE, fsync_folder
from tests.soak import faults
from tests.soak.disks import Disk, LoopDisk, RamDisk, run, skip_without_mounts
from tests.soak.faults import Fault
from tests.soak.maker import Maker
from tests.support.daemon import Daemon, daemon
from tests.support.faulty import Rule, Shim
from tests.support.sshd import Sshd

LINES = 'settle = "500ms"\n[target.cleanup]\nage = "4s"\nevery = "5s"'
WELL = "well"
SICK = ("ext4", "xfs", "fat", "nas")
"""ext4 and xfs; one without renames that refuse to overwrite and without links, as FAT; one without the former, as NFS."""
STATE = "state"
"""In place of a target's name: the disk of the state database."""

IN_FLIGHT = "16MB"
MOST_MEMORY_BYTES = 300 << 20
"""Of the daemon, on slow disks, too. It takes about 110 MB at rest, and holds IN_FLIGHT at most for the disks."""

FILM_MB = 160
"""More than the daemon may take for it by far."""

WHOLE = (faults.Full, faults.ReadOnly, faults.Unmounted, faults.Exchanged)
BROKEN = (faults.PowerCut, faults.Worn)
CALLS = (faults.WritesFail, faults.FsyncsFail, faults.NamesFail, faults.Flaky, faults.Slow)


PATIENCE_S = 600.0
"""For what takes seconds on a machine at rest: a campaign runs beside others, at the lowest priority."""


def until(condition: Callable[[], object], why: Callable[[], str]) -> None:
    """Waits for it without haste, since asking takes the time of those who are waited for."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain: {why()}"
        time.sleep(0.2)


@dataclass
class Figures:
    """What a campaign did, for the person who ran it."""

    minutes: float
    faults: dict[str, int]
    kills: int
    power_cuts: int
    deeds: dict[str, int]
    files_home: int
    size_bytes: int
    removed_at_source: int
    log_lines: int
    most_memory_bytes: int
    losses: int = 0


@dataclass(frozen=True)
class Stricken:
    """A fault at work on one target, and how long the log was before."""

    target: str
    fault: Fault
    since: int


class Meter(threading.Thread):
    """The most memory that any life of the daemon took."""

    def __init__(self, house: Daemon) -> None:
        super().__init__(name="meter", daemon=True)
        self._house, self.ended, self.most_bytes = house, threading.Event(), 0

    def run(self) -> None:
        while not self.ended.wait(0.1):
            process = self._house.process
            try:
                self.most_bytes = max(self.most_bytes, psutil.Process(process.pid).memory_info().rss if process else 0)
            except psutil.Error:
                pass  # it was killed meanwhile


class Campaign:
    """One house on its disks."""

    def __init__(self, house: Daemon, shim: Shim, disks: dict[str, Disk], seed: int, pause_s: float) -> None:
        self.house, self.shim, self.disks = house, shim, disks
        self.chance = random.Random(seed)
        self.makers = {name: Maker(house.box(name), seed + n, pause_s) for n, name in enumerate(house.targets)}
        self.owned = {name: _plant(house.home(name)) for name in house.targets}
        self.had, self.kills, self.power_cuts = Counter[str](), 0, 0
        self._ends: list[int] = []
        """Where in the log a life ended."""
        for disk in disks.values():
            run("sync", "--file-system", disk.aside)

    # --- what happens -----------------------------------------------------------------------------------------------------

    def spell(self, *befalls: tuple[str, Callable[[], Fault]], kill: bool = False) -> None:
        """These strike together; forged is watched, killed perhaps; they are mended, and it resumes by itself."""
        since = len(self.house.log())
        stricken = [Stricken(name, fault, since) for name, make in befalls if (fault := make()).strike()]
        try:
            if kill:
                self.kill()
            for one in stricken:
                self.had[f"{one.target}: {type(one.fault).__name__}"] += 1
                self._is_met(one)
            if STATE not in [one.target for one in stricken]:
                self.goes_on(WELL)
            time.sleep(self.chance.uniform(0.2, 1.5))
            for one in stricken:
                one.fault.check()
                self._is_told_once(one)
        finally:
            for one in stricken:
                one.fault.heal()
        self._has_healed(stricken)

    def kill(self) -> None:
        self._end()
        self.kills += 1
        self.start()

    def start(self) -> None:
        self.house.spawn()
        self.house.told("READY=1", PATIENCE_S)

    def _end(self) -> None:
        self.house.kill()
        self._ends.append(len(self.house.log()))

    def cut_the_power(self) -> None:
        """Of the whole machine: what was in memory is gone, on all disks at once."""
        self._end()
        broken = [disk for disk in self.disks.values() if isinstance(disk, LoopDisk)]
        for disk in broken:
            disk.cut_power()
        for disk in broken:
            disk.mend()
        self.start()
        self.power_cuts += 1

    # --- what is to be seen -----------------------------------------------------------------------------------------------

    def _is_met(self, one: Stricken) -> None:
        """A steady fault is noticed."""
        for name in self._concerned(one) if one.fault.steady else ():
            until(lambda name=name: self._broken(self._lives(name, one.since)[-1]), lambda: f"{one} was not noticed")

    def _is_told_once(self, one: Stricken) -> None:
        """In each life, one line for each kind of trouble; none of it heals while a steady fault lasts."""
        for name in self._concerned(one) if one.fault.steady else ():
            for life in self._lives(name, one.since):
                kinds = [line["kind"] for line in self._broken(life)]
                assert len(kinds) == len(set(kinds)) <= 2, f"{one}: told more than once: {life}"
                assert not self._healed(life), f"{one}: well again in the middle of it: {life}"

    def _has_healed(self, stricken: Sequence[Stricken]) -> None:
        """All goes on, and what was told as broken is told as well again, once."""
        for name in self.house.targets:
            until(lambda name=name: self._is_well(name), lambda name=name: str(self._standing(name)))
            self.goes_on(name)
        for one in stricken:
            for name in self._concerned(one) if one.fault.steady else ():
                life = self._lives(name, one.since)[-1]
                assert len(self._healed(life)) == bool(self._broken(life)), f"{one}: {life}"

    def _call(self, method: str, **params: str) -> Any:
        with self.house.client(PATIENCE_S) as client:
            return client.call(method, **params)

    def _standing(self, name: str) -> dict[str, Any]:
        return self._call("target.status", target=name)["target"]  # type: ignore[no-any-return]

    def _is_well(self, name: str) -> bool:
        """A target that was killed while it removed many files is held: nobody knows whether forged removed them, or who else."""
        if self._standing(name)["held"]:
            self._call("target.release", target=name)
        return not self._standing(name)["problems"]

    def goes_on(self, name: str) -> None:
        """Files of this target come home."""
        before = self._came(name)
        until(lambda: self._came(name) != before, lambda: f"nothing of {name} comes home: {self._standing(name)}")

    def _came(self, name: str) -> float:
        """How many came in this life."""
        with suppress(KeyError, OSError):  # OSError: on a busy machine the page is given up
            return self.house.metric("forged_files_transferred_total", target=name)
        return 0.0

    def _concerned(self, one: Stricken) -> list[str]:
        return list(self.house.targets) if one.target == STATE else [one.target]

    def _lives(self, name: str, since: int) -> list[list[dict[str, Any]]]:
        """The log's lines about what was wrong with a target, life by life; holds are a person's concern."""
        log = self.house.log()
        edges = [since, *(end for end in self._ends if end > since), len(log)]
        lives = [[json.loads(line) for line in log[a:b].splitlines()] for a, b in itertools.pairwise(edges)]
        return [[line for line in life if line.get("target") == name and line.get("kind", "held") != "held"] for life in lives]

    def _broken(self, life: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [line for line in life if line["level"] == "warning"]

    def _healed(self, life: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [line for line in life if line["level"] == "info"]

    # --- the end ----------------------------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Nobody writes any more: all comes home by itself, and nobody took a missing disk for the owner's wish."""
        for name in self.house.targets:
            assert "home_vanished" not in self.house.log(), "a disk in trouble was taken for an emptied home"
            until(lambda name=name: self._is_well(name), lambda name=name: str(self._standing(name)))
            answer = self._call("target.drain", target=name, timeout="120s")
            assert answer["safe_to_destroy"], (name, answer)
        self.house.stop(within_s=PATIENCE_S)

    def figures(self, minutes: float, most_memory_bytes: int) -> Figures:
        """Compares everything first."""
        removed = sum(maker.compare(self.house.home(name), self.owned[name]) for name, maker in self.makers.items())
        deeds = sum((maker.did for maker in self.makers.values()), Counter[str]())
        home = [path for name in self.makers for path in self.house.home(name).rglob("*") if path.is_file()]
        size_bytes, lines = sum(path.stat().st_size for path in home), len(self.house.log().splitlines())
        told = (dict(self.had), self.kills, self.power_cuts, dict(deeds), len(home), size_bytes, removed, lines, most_memory_bytes)
        return Figures(round(minutes, 1), *told)


def _plant(home: Path) -> dict[str, str]:
    """Files of the owner under names that will come, each second one empty: path to sha256."""
    owned = {}
    for number in range(2, 2_000, 7):
        data = f"the owner's {number}".encode() if number % 2 else b""
        (home / f"{number:06}.bin").write_bytes(data)
        owned[f"{number:06}.bin"] = hashlib.sha256(data).hexdigest()
    return owned


@contextmanager
def on_disks(sshd: Sshd, sick: Sequence[str], seed: int, pause_s: float) -> Iterator[Campaign]:
    """A house with a home on each of these disks, and one that stays well. The state database has a disk, too."""
    skip_without_mounts()
    with daemon(sshd, **dict.fromkeys((WELL, *sick), LINES)) as house, ExitStack() as stack:
        shim, disks = Shim(house.root), {name: _disk(house, name) for name in (*sick, STATE)}
        shim.add(Rule("noreplace", house.home("fat"), errno.EINVAL), Rule("link", house.home("fat"), errno.EPERM))
        shim.add(Rule("noreplace", house.home("nas"), errno.EINVAL))
        for disk in disks.values():
            stack.enter_context(disk)
        house.within = shim.within
        house.sources = {name: str(house.box(name)) for name in ("xfs", "fat")}
        house.transfer_lines = f'min_free = "1MB"\nin_flight = "{IN_FLIGHT}"'
        house.write()
        try:
            yield Campaign(house, shim, disks, seed, pause_s)
        except BaseException:
            print(house.log()[-20_000:])
            raise
        finally:
            house.close()


def _disk(house: Daemon, name: str) -> Disk:
    """Real file systems in files; for the homes that lack what FAT and NFS lack, memory is enough."""
    home = house.root / STATE if name == STATE else house.home(name)
    home.mkdir(mode=0o700, exist_ok=True)
    if name in ("fat", "nas"):
        return RamDisk(house.root / f"disk {name}", home)
    return LoopDisk("xfs" if name == "xfs" else "ext4", house.root / f"disk {name}", home)


def run_campaign(campaign: Campaign, spells: Callable[[], object]) -> Figures:
    """Makers make, faults strike as `spells` says, then all comes to rest and is compared."""
    began_s, meter = time.monotonic(), Meter(campaign.house)
    campaign.start()
    meter.start()
    with ExitStack() as stack:
        for maker in campaign.makers.values():
            stack.enter_context(maker.at_work())
        for name in campaign.house.targets:
            campaign.goes_on(name)  # before its first use a destination carries no marker, and an empty one is as good as any
        spells()
    campaign.come_to_rest()
    meter.ended.set()
    meter.join()
    assert meter.most_bytes < MOST_MEMORY_BYTES, f"{meter.most_bytes:,} bytes"
    return campaign.figures((time.monotonic() - began_s) / 60, meter.most_bytes)


def befall(campaign: Campaign, name: str, kind: type[Fault]) -> tuple[str, Callable[[], Fault]]:
    """One fault for one disk, made when it strikes."""
    if issubclass(kind, faults.Shimmed):
        path = campaign.disks[name].home
        return name, lambda: kind(campaign.shim, path, campaign.chance)
    return name, lambda: kind(campaign.disks[name], campaign.chance)  # type: ignore[call-arg]


def menu(name: str) -> tuple[type[Fault], ...]:
    """What may befall this disk."""
    if name == STATE:
        return (faults.FullState, faults.Denied, faults.WritesFail, faults.FsyncsFail, faults.Slow)
    if name in ("ext4", "xfs"):
        return (*WHOLE, *BROKEN, faults.Stumbled) if name == "ext4" else (*WHOLE, *BROKEN)
    return (*WHOLE, *CALLS)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_names_in_a_file_system_that_has_shut_down_are_never_called_durable(kind: str, quick_path: Path) -> None:
    skip_without_mounts()
    home = quick_path / "home"
    home.mkdir()
    with LoopDisk(kind, quick_path / "disk", home) as disk:
        folder = os.open(home, FOLDER)
        try:
            os.close(os.open(b"picture.png", NEW_FILE, dir_fd=folder))
            disk.cut_power()
            with pytest.raises(OSError, match=r"I/O error|Input/output"):
                fsync_folder(folder)
        finally:
            os.close(folder)


@pytest.mark.timeout(1_200)
def test_a_few_faults_of_every_kind_of_disk(sshd: Sshd) -> None:
    with on_disks(sshd, ("ext4", "fat"), seed=5, pause_s=0.2) as campaign:

        def spells() -> None:
            at = campaign.chance.choice
            campaign.spell(*(befall(campaign, name, at(menu(name))) for name in ("ext4", "fat")), kill=True)
            campaign.spell(befall(campaign, STATE, at(menu(STATE))))
            campaign.cut_the_power()

        figures = run_campaign(campaign, spells)
    assert figures.kills == figures.power_cuts == 1


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_hundreds_of_faults() -> None:
    from tests.support.sshd import sshd as running_sshd

    minutes, seed = float(os.environ.get("FORGED_MINUTES", "20")), int(os.environ.get("FORGED_SEED", "1"))
    ends_s = time.monotonic() + 60 * minutes
    with running_sshd() as own, on_disks(own, SICK, seed, pause_s=1.0) as campaign:

        def spells() -> None:
            while time.monotonic() < ends_s:
                one_spell(campaign)

        figures = run_campaign(campaign, spells)
        print(json.dumps(asdict(figures), indent=1, ensure_ascii=False))


def one_spell(campaign: Campaign) -> None:
    """Mostly some disks together; now and then the disk of the state, or the power."""
    chance = campaign.chance
    kind = chance.random()
    if kind < 0.1:
        campaign.cut_the_power()
    elif kind < 0.25:
        campaign.spell(befall(campaign, STATE, chance.choice(menu(STATE))))
    else:
        names = chance.sample(SICK, chance.randint(1, len(SICK)))
        campaign.spell(*(befall(campaign, name, chance.choice(menu(name))) for name in names), kill=chance.random() < 0.3)


@pytest.mark.timeout(400)
def test_a_slow_disk_does_not_fill_the_memory(sshd: Sshd) -> None:
    """Promise 10: a disk stands still, the box does not, and nothing but `in_flight` waits in between."""
    with daemon(sshd, box="") as house:
        shim, standstill = Shim(house.root), Rule("write", house.home(), 0, delay_s=8.0)
        house.within, house.transfer_lines = shim.within, f'min_free = "1MB"\nin_flight = "{IN_FLIGHT}"'
        house.write()
        house.spawn()
        house.told("READY=1", PATIENCE_S)
        (house.box() / "first").write_bytes(b"so that all is loaded")
        until((house.home() / "first").exists, house.log)
        meter, at_rest_bytes = Meter(house), psutil.Process(house.process.pid).memory_info().rss if house.process else 0
        meter.start()
        shim.add(standstill)
        (house.box() / "film").write_bytes(random.Random(1).randbytes(1 << 20) * FILM_MB)
        until(lambda: _stands_still(house), house.page)
        shim.remove(standstill)
        until((house.home() / "film").exists, house.log)
        meter.ended.set()
        meter.join()
        assert meter.most_bytes - at_rest_bytes < 72 << 20


def _stands_still(house: Daemon) -> bool:
    """Much is in flight, and no more comes."""
    before = house.metric("forged_bytes_in_flight")
    time.sleep(3)
    return house.metric("forged_bytes_in_flight") == before > 8e6
