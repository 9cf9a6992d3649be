"""Limits, over a real sshd: within 5 % of the figure over ten seconds, fair between targets, and no small file starves.

Looked at is what lies at home, staged or landed: every 20 ms, by nobody who slows the daemon down.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forged.kit.units import parse_rate
from tests.support.daemon import Daemon, daemon
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

LOOK_S = 0.02
WINDOW_S = 10.0
MOST_OFF = 0.05
"""The promise: within 5 % over ten seconds."""

MOST_UNFAIR = 0.05
OLD_NS = 1_700_000_000_000_000_000
SMALL_BYTES = 200_000


@dataclass
class Looks(threading.Thread):
    """How many bytes had come home, when."""

    home: Path
    seen: list[tuple[float, int]] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        super().__init__(name=f"looks at {self.home.name}", daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.ended:
            self.seen.append((time.monotonic(), arrived_bytes(self.home)))
            time.sleep(LOOK_S)

    @property
    def began_s(self) -> float | None:
        """The last look before the first byte."""
        return next((before[0] for before, after in itertools.pairwise(self.seen) if after[1]), None)

    def at(self, moment_s: float) -> float:
        """Bytes at that moment, on the line between two looks."""
        looks = list(self.seen)
        for (before_s, before), (after_s, after) in itertools.pairwise(looks):
            if before_s <= moment_s <= after_s:
                return before + (after - before) * (moment_s - before_s) / (after_s - before_s)
        raise AssertionError("nobody looked then")

    def over(self, from_s: float, to_s: float) -> float:
        return self.at(to_s) - self.at(from_s)


def arrived_bytes(home: Path) -> int:
    """Staged first, then landed: a file that is renamed meanwhile is seen twice, and its inode tells."""
    sizes: dict[int, int] = {}
    staging = home / ".forged" / "staging"
    for folder in [*(staging.iterdir() if staging.exists() else ()), home]:
        for entry in os.scandir(folder):
            try:
                if entry.is_file(follow_symlinks=False) and not entry.name.endswith(".ahead"):
                    seen = entry.stat(follow_symlinks=False)
                    sizes[seen.st_ino] = seen.st_size
            except FileNotFoundError:
                pass
    return sum(sizes.values())


@contextmanager
def looking(house: Daemon) -> Iterator[dict[str, Looks]]:
    looks = {name: Looks(house.home(name)) for name in house.targets}
    for one in looks.values():
        one.start()
    try:
        yield looks
    finally:
        for one in looks.values():
            one.ended = True
            one.join()


def hollow(box: Path, name: str, size_bytes: int) -> None:
    """A file of zeros that costs no disk, written long ago."""
    with (box / name).open("wb") as file:
        file.truncate(size_bytes)
    os.utime(box / name, ns=(OLD_NS, OLD_NS))


def one_large(box: Path, total_bytes: int) -> None:
    hollow(box, "film.mp4x", total_bytes)


def many_small(box: Path, total_bytes: int) -> None:
    for n in range(total_bytes // SMALL_BYTES):
        hollow(box, f"{n:06}.bin", SMALL_BYTES)


def mixed(box: Path, total_bytes: int) -> None:
    one_large(box, total_bytes // 2)
    many_small(box, total_bytes // 2)


Filling = Callable[[Path, int], None]


def forgectl(house: Daemon, *arguments: str) -> None:
    program = [sys.executable, "-c", "from forged.cli.forgectl import main; main()", "--socket", house.control, *arguments]
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)


def rate(text: str) -> int:
    found = parse_rate(text)
    assert found is not None
    return found


def windows(looks: list[Looks], from_s: float, to_s: float, limit: int) -> dict[str, float]:
    """How far the figure was missed: by the first window, and by the windows that missed it most."""
    starts = [from_s + n * 0.5 for n in range(int((to_s - from_s - WINDOW_S) / 0.5) + 1)]
    off = [sum(one.over(start, start + WINDOW_S) for one in looks) / WINDOW_S / limit - 1 for start in starts]
    return {"first": round(off[0], 4), "least": round(min(off), 4), "most": round(max(off), 4)}


def await_first_bytes(looks: dict[str, Looks]) -> float:
    deadline_s = time.monotonic() + 30
    while any(one.began_s is None for one in looks.values()):
        assert time.monotonic() < deadline_s, "nothing came"
        time.sleep(0.05)
    return max(one.began_s or 0.0 for one in looks.values())


def told(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


MEASURED_S = 14.0


@contextmanager
def started(
    sshd: Sshd, fillings: dict[str, Filling], total_bytes: int, all_: str = "off", own: str = "off", local: bool = False
) -> Iterator[Daemon]:
    lines = f'bandwidth = "{own}"\npoll = "1h"\nwatch = "off"\nverify = false'
    with daemon(sshd, **dict.fromkeys(fillings, lines)) as house:
        house.transfer_lines += f'\nbandwidth = "{all_}"'
        if local:
            house.sources = {name: str(house.box(name)) for name in fillings}
        house.write()
        for name, fill in fillings.items():
            fill(house.box(name), total_bytes)
        house.start()
        yield house


@pytest.mark.parametrize("filling", [one_large, many_small, mixed], ids=["large", "small", "mixed"])
@pytest.mark.parametrize("limit", ["1MB/s", "5MB/s", "20MB/s", "100MB/s"])
def test_one_target(sshd: Sshd, limit: str, filling: Filling) -> None:
    total_bytes = max(int(rate(limit) * (MEASURED_S + 3)), 40_000_000)
    with started(sshd, {"box": filling}, total_bytes, own=limit) as house, looking(house) as looks:
        began_s = await_first_bytes(looks)
        time.sleep(MEASURED_S + began_s - time.monotonic())
        figures = windows([looks["box"]], began_s, began_s + MEASURED_S - 0.2, rate(limit))
        told(targets=1, limit=limit, filling=filling.__name__, **figures)
        assert max(map(abs, figures.values())) <= MOST_OFF, figures


@pytest.mark.parametrize("filling", [one_large, many_small], ids=["large", "small"])
@pytest.mark.parametrize("limit", ["1MB/s", "20MB/s"])
def test_one_local_target(sshd: Sshd, limit: str, filling: Filling) -> None:
    with started(sshd, {"box": filling}, int(rate(limit) * (MEASURED_S + 3)), own=limit, local=True) as house:
        with looking(house) as looks:
            began_s = await_first_bytes(looks)
            time.sleep(MEASURED_S + began_s - time.monotonic())
            figures = windows([looks["box"]], began_s, began_s + MEASURED_S - 0.2, rate(limit))
        told(targets="1 local", limit=limit, filling=filling.__name__, **figures)
        assert max(map(abs, figures.values())) <= MOST_OFF, figures


@pytest.mark.parametrize("limit", ["1MB/s", "5MB/s", "20MB/s", "100MB/s"])
def test_three_targets_share_the_limit_for_all(sshd: Sshd, limit: str) -> None:
    total_bytes = max(int(rate(limit) * (MEASURED_S + 3) / 2), 40_000_000)
    fillings: dict[str, Filling] = {"large": one_large, "small": many_small, "mixed": mixed}
    with started(sshd, fillings, total_bytes, all_=limit) as house, looking(house) as looks:
        began_s = await_first_bytes(looks)
        time.sleep(MEASURED_S + began_s - time.monotonic())
        first_s = min(one.began_s or 0.0 for one in looks.values())
        figures = windows(list(looks.values()), first_s, began_s + MEASURED_S - 0.2, rate(limit))
        parts = {name: round(one.over(began_s, began_s + WINDOW_S) / WINDOW_S / rate(limit) * 3, 3) for name, one in looks.items()}
        told(targets=3, limit=limit, **figures, parts=parts)
        assert max(map(abs, figures.values())) <= MOST_OFF, figures
        assert all(abs(part - 1) <= MOST_UNFAIR for part in parts.values()), parts


@pytest.mark.parametrize(("before", "after"), [("off", "5MB/s"), ("100MB/s", "1MB/s"), ("1MB/s", "20MB/s"), ("off", "20MB/s")])
@pytest.mark.parametrize("whose", ["all", "own"])
def test_a_change_in_the_middle(sshd: Sshd, before: str, after: str, whose: str) -> None:
    configured = {"all_": before} if whose == "all" else {"own": before}
    with started(sshd, {"box": one_large}, 6_000_000_000, **configured) as house, looking(house) as looks:
        await_first_bytes(looks)
        time.sleep(2)
        target = None if whose == "all" else "box"
        forgectl(house, "limit", *(("--target", target) if target else ()), after)
        changed_s = time.monotonic()
        time.sleep(MEASURED_S)
        figures = windows([looks["box"]], changed_s, changed_s + MEASURED_S - 0.2, rate(after))
        told(before=before, after=after, whose=whose, **figures)
        assert max(map(abs, figures.values())) <= MOST_OFF, figures


@pytest.mark.parametrize("limit", ["off", "20MB/s"])
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("large", [1, 3])
def test_small_files_beside_a_large_one(sshd: Sshd, limit: str, connections: int, large: int) -> None:
    """200 small ones on the same target and on another; the large ones come first in the listing."""
    lines = f'poll = "1h"\nwatch = "off"\nparallel_transfers = {connections}'
    with daemon(sshd, same=lines, other=lines) as house:
        house.transfer_lines += f'\nbandwidth = "{limit}"'
        house.write()
        for n in range(large):
            hollow(house.box("same"), f"0{n}.film", (1 << 30) // large)
        for name in ("same", "other"):
            for n in range(200):
                hollow(house.box(name), f"1{n:03}.bin", 100_000)
        with looking(house) as looks:
            house.start()
            await_first_bytes(looks)
            began_s = time.monotonic()
            home_s: dict[str, float] = {}
            while len(home_s) < 3:
                for name in ("same", "other"):
                    if name not in home_s and len(list(house.home(name).glob("1*.bin"))) == 200:
                        home_s[name] = round(time.monotonic() - began_s, 2)
                if "large" not in home_s and len(list(house.home("same").glob("0*.film"))) == large:
                    home_s["large"] = round(time.monotonic() - began_s, 2)
                time.sleep(0.02)
                assert time.monotonic() - began_s < 200
        told(beside=limit, connections=connections, large=large, home_after_s=home_s)
        assert max(home_s["same"], home_s["other"]) < home_s["large"] / 2
