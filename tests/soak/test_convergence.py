"""Promise 5, and with it 1 to 4: a daemon that is killed again and again, on a line that breaks, with cleanup on, loses nothing.

In the end home holds the writer's ledger sha256 by sha256; what forged removed at the box is home; nothing is there twice, nothing
is stray. A few kills in `make test`, hundreds as a campaign (FORGED_MINUTES, FORGED_SEED).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.soak.weather import Weather
from tests.soak.writer import Ledger, Writer
from tests.support.daemon import Daemon, daemon
from tests.support.site import staged, tree
from tests.support.sshd import Sshd

CLEANUP = 'parallel_transfers = 3\n[target.cleanup]\nage = "4s"\nevery = "1s"'
LONGEST_LIFE_S = 5.0
"""A daemon needs about one second until it has connected, so most lives see some work."""

VERSION = re.compile(r"(.*)~([0-9a-f]{8,64})((?:\.[^./]*)?)", re.DOTALL)


@dataclass
class Figures:
    """What a campaign did, for the person who ran it."""

    minutes: float
    kills: int
    weather: dict[str, int]
    deeds: dict[str, int]
    files_home: int
    size_bytes: int
    removed_at_source: int
    losses: int = 0


@contextmanager
def writing(writer: Writer) -> Iterator[None]:
    writer.start()
    try:
        yield
    finally:
        writer.ended.set()
        writer.join()


def campaign(house: Daemon, sshd: Sshd, kills: int, minutes: float, seed: int, pause_s: float) -> Figures:
    chance, began_s = random.Random(seed), time.monotonic()
    writer, killed = Writer(house.box(), seed, pause_s), 0
    with Weather(sshd.port, seed) as weather:
        house.sources["box"] = sshd.url(house.box()).replace(f":{sshd.port}/", f":{weather.port}/")
        house.write()
        with writing(writer):
            while killed < kills or time.monotonic() - began_s < 60 * minutes:
                house.spawn()
                time.sleep(chance.uniform(0.1, LONGEST_LIFE_S))
                house.kill()
                killed += 1
        weather.clear()
        _come_to_rest(house)
    removed = losses_are_none(house, writer.ledger)
    home = [path for path in house.home().rglob("*") if path.is_file()]
    took_minutes, size_bytes = (time.monotonic() - began_s) / 60, sum(path.stat().st_size for path in home)
    return Figures(round(took_minutes, 1), killed, dict(weather.had), dict(writer.did), len(home), size_bytes, removed)


def _come_to_rest(house: Daemon) -> None:
    """One undisturbed life, until forged itself says that all is safe. Cleanup goes on until nothing more may go."""
    house.start()
    if house.standing()["held"]:
        house.call("target.release", target="box")
    answer = house.call("target.drain", target="box", timeout="120s")
    assert answer["safe_to_destroy"], answer
    house.stop()


def losses_are_none(house: Daemon, ledger: Ledger) -> int:
    """Compares ledger, box and home; answers how many files forged has removed at the box."""
    box, home = _contents(house.box()), _contents(house.home())
    came = Counter((_origin(path, sha256), sha256) for path, sha256 in home.items())
    for path, sha256 in box.items():
        assert ledger.now.get(path) == sha256, f"{path} at the box is not what the writer left there"
    for path, sha256 in ledger.now.items():
        assert came[path, sha256], f"lost: {path} {sha256} is not home" + ("" if path in box else ", and was removed at the box")
    for path, sha256 in came:
        assert sha256 in ledger.ever[path], f"{path} came home with a content that it never had"
    assert max(came.values(), default=1) == 1, f"twice: {[one for one, times in came.items() if times > 1]}"
    assert staged(house.home()) == []
    return len(ledger.now.keys() - box.keys())


def _contents(root: Path) -> dict[str, str]:
    return {os.fsdecode(path): sha256 for path, (sha256, _) in tree(root).items()}


def _origin(path: str, sha256: str) -> str:
    """The path at the box: a version beside carries the beginning of its own hash."""
    match = VERSION.fullmatch(path)
    return match[1] + match[3] if match and sha256.startswith(match[2]) else path


def test_the_comparison_sees_a_loss_a_stranger_and_a_double(quick_path: Path, sshd: Sshd) -> None:
    """What the campaign relies on can fail."""
    with daemon(sshd) as house:
        ledger = Ledger()
        ledger.note("a.bin", b"a")
        with pytest.raises(AssertionError, match=r"lost: a\.bin"):
            losses_are_none(house, ledger)
        (house.home() / "a.bin").write_bytes(b"a")
        assert losses_are_none(house, ledger) == 1
        (house.home() / f"a~{hashlib.sha256(b'a').hexdigest()[:8]}.bin").write_bytes(b"a")
        with pytest.raises(AssertionError, match="twice"):
            losses_are_none(house, ledger)
        (house.home() / "b.bin").write_bytes(b"b")
        with pytest.raises(AssertionError, match="never had"):
            losses_are_none(house, ledger)


def test_a_few_kills_in_bad_weather(sshd: Sshd) -> None:
    with daemon(sshd, box=CLEANUP) as house:
        figures = campaign(house, sshd, kills=4, minutes=0, seed=5, pause_s=0.02)
    assert figures.files_home > 20


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_hundreds_of_kills_and_cuts() -> None:
    from tests.support.sshd import sshd as running_sshd

    minutes, seed = float(os.environ.get("FORGED_MINUTES", "20")), int(os.environ.get("FORGED_SEED", "1"))
    with running_sshd() as own, daemon(own, box=CLEANUP) as house:
        figures = campaign(house, own, kills=200, minutes=minutes, seed=seed, pause_s=0.03)
        print(json.dumps(asdict(figures), indent=1, ensure_ascii=False))
    assert sum(figures.weather[kind] for kind in ("cut now", "cut later", "stall", "slow")) >= 200
