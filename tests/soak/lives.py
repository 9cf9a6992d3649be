"""A campaign: lives of a daemon that end by SIGKILL, in bad weather, with a writer at the box; and the verdict in the end."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import psutil

from forged.model.errors import ForgedError
from tests.soak.keeper import Keeper
from tests.soak.ledger import MUTABLE, Ledger
from tests.soak.mischief import Mischief
from tests.soak.proof import PRESERVED, Proof
from tests.soak.remembered import Memory
from tests.soak.verdict import Verdict
from tests.soak.weather import Weather
from tests.soak.witness import Witness
from tests.soak.writer import Writer
from tests.support.daemon import Daemon
from tests.support.site import staged
from tests.support.sshd import Sshd

AGE_S = 6.0
LINES = f"""parallel_transfers = 3
mutable = ["{MUTABLE}"]
[target.cleanup]
age = "{AGE_S:.0f}s"
every = "1s"
preserve = ["*{PRESERVED}"]"""

LONGEST_LIFE_S = 5.0
"""From the moment on in which it is connected."""

STARTS_S = 900.0
"""How long a start may take on a machine that is busy with other things."""

REST_S = 900.0
"""How long it may take to come to rest there."""

PATIENCE_S = 12.0
"""A life that shall end at a certain moment ends without it after so long."""

MOMENTS = ("at the start", "at random", "at random", "at a removal", "at a removal", "in a transfer")
"""When a life ends."""

MAY_STAY = {"preserved", "newest_of_series", "home_missing", "vanished"}
"""Why files may stay at the box when cleanup has nothing more to do. `home_missing`: the owner deleted them at home."""


@dataclass
class Figures:
    """What a campaign did, for the person who ran it."""

    minutes: float
    kills: dict[str, int]
    strikes: int
    struck: dict[str, int]
    mischief: dict[str, int]
    deeds: dict[str, int]
    files_home: int
    bytes_home: int
    removals: int
    removed_bytes: int
    drains: dict[str, int]
    losses: int


@dataclass
class Campaign:
    """Everybody who takes part. `broken` are the promises that were seen broken."""

    house: Daemon
    sshd: Sshd
    seed: int
    pause_s: float
    kills: Counter[str] = field(default_factory=Counter)
    drains: dict[str, int] = field(default_factory=lambda: {"yes": 0, "no": 0})

    def __post_init__(self) -> None:
        box, home, memory = self.house.box(), self.house.home(), Memory(self.house.root / "state")
        self.chance, self.ledger = random.Random(self.seed), Ledger()
        self.keeper = Keeper(box, home, self.ledger, memory)
        self.mischief = Mischief(self.keeper, self.chance)
        self.witness = Witness(box, self.ledger, Proof(home, memory, AGE_S).missing)
        self.writer = Writer(box, self.ledger, self.witness, self.seed, self.pause_s)
        self.verdict = Verdict(self.keeper)

    def run(self, goes_on: Callable[[int, int], bool]) -> Figures:
        """Kills until `goes_on(kills, strikes)` says no; then lets all come to rest. Raises AssertionError for the first break."""
        began_s = time.monotonic()
        with ExitStack() as stack:
            weather = self.weather = stack.enter_context(Weather(self.sshd.port, self.seed))
            self.house.sources["box"] = self.sshd.url(self.house.box()).replace(f":{self.sshd.port}/", f":{weather.port}/")
            self.house.write()
            stack.enter_context(self.witness)
            with self.writer:
                while goes_on(self.kills.total() - self.kills["helper alone"], weather.strikes):
                    self._live_and_die()
            weather.clear()
            self._come_to_rest()
        return self._figures((time.monotonic() - began_s) / 60, weather)

    # --- lives ------------------------------------------------------------------------------------------------------------

    def _live_and_die(self) -> None:
        asks = self.chance.random() < 0.1
        if asks:
            self.mischief.mend()
        self.house.spawn()
        moment = self.chance.choice(MOMENTS)
        self._wait_for(moment)
        if self.chance.random() < 0.2:
            self._kill_a_helper()
            time.sleep(self.chance.uniform(0.0, 2.0))
        if asks and moment != "at the start":
            self._ask_whether_all_is_safe()
        self._kill()
        self.kills[moment] += 1
        self.keeper.look()
        self._nothing_broken()
        if self._agents_are_gone():
            self.mischief.strike()

    def _wait_for(self, moment: str) -> None:
        """Until it has come; but not for ever."""
        if moment == "at the start":
            time.sleep(self.chance.uniform(0.05, 2.0))
            return
        self.house.told("READY=1", within_s=STARTS_S)
        _until(lambda: self.weather.at_work, STARTS_S / 10)
        self.witness.news.clear()
        match moment:
            case "at a removal":
                self.witness.news.wait(PATIENCE_S)
            case "in a transfer":
                _until(lambda: len(staged(self.house.home())) > 1, PATIENCE_S)  # one is another forged's
            case _:
                time.sleep(self.chance.uniform(0.1, LONGEST_LIFE_S))

    def _kill(self) -> None:
        """The daemon, and with it its helper, which the kernel ends a moment later."""
        helpers = self._helpers()
        self.house.kill()
        assert not psutil.wait_procs(helpers, STARTS_S)[1], "its helper lives on"

    def _helpers(self) -> list[psutil.Process]:
        assert self.house.process is not None
        try:
            return psutil.Process(self.house.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _kill_a_helper(self) -> None:
        """Only that: the daemon has to go on."""
        for helper in self._helpers():
            with suppress(psutil.NoSuchProcess):
                helper.kill()
                self.kills["helper alone"] += 1

    def _agents_are_gone(self) -> bool:
        """The line may still hold up the news that forged has died."""
        return _until(lambda: not self.sshd.children(), PATIENCE_S)

    def _ask_whether_all_is_safe(self) -> None:
        """In the worst weather: a yes has to be true, while nobody writes."""
        with self.writer.still:
            try:
                answer = self.house.call("target.drain", target="box", timeout="5s")
            except (ForgedError, OSError):  # no socket yet, no connection, a line that broke: an honest "I do not know"
                answer = {"safe_to_destroy": False}
            self.drains["yes" if answer["safe_to_destroy"] else "no"] += 1
            if answer["safe_to_destroy"]:
                self.keeper.look_at_home()
                self.witness.look()
                lost = self.verdict.lost(self.witness.removals)
                self.keeper.broken += [f"promise 14: told to be safe, and not home: {one}" for one in lost]

    def _nothing_broken(self) -> None:
        broken = [*self.keeper.broken, *(f"promise 3: {one}" for one in self.witness.unproven)]
        assert not broken, "\n".join(broken[:20])

    # --- the end ----------------------------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """One undisturbed life, until forged itself says that all is safe and cleanup has removed all that may go."""
        self.mischief.mend()
        self.house.spawn()
        self.house.told("READY=1", within_s=REST_S)
        self._is_safe()
        self._is_cleaned_up()
        self._is_safe()
        self.house.stop(within_s=REST_S)
        self.witness.look()
        self.keeper.look()
        self._nothing_broken()

    def _is_safe(self) -> None:
        with self.house.client(REST_S) as client:
            answer = client.call("target.drain", target="box", timeout="15m")
        assert answer["safe_to_destroy"], answer
        assert not self.house.standing()["held"]

    def _is_cleaned_up(self) -> None:
        """Cleanup after cleanup, until nothing goes any more, and what stays has a reason to."""
        deadline_s, stay = time.monotonic() + REST_S, {"not yet"}
        with self.house.client(REST_S) as client:
            while not stay <= MAY_STAY:
                answer = client.call("cleanup.run", target="box")
                stay = set(answer["kept_counts"]) | ({"not yet"} if answer["files_deleted"] else set())
                assert time.monotonic() < deadline_s, f"cleanup leaves files: {answer['kept'][:20]}"

    def _figures(self, minutes: float, weather: Weather) -> Figures:
        removals, home = self.witness.removals, self.keeper.files
        lost, strays, twice = self.verdict.lost(removals), self.verdict.strays(removals), self.verdict.twice()
        figures = Figures(
            minutes=round(minutes, 1),
            kills=dict(self.kills),
            strikes=weather.strikes,
            struck=dict(weather.struck),
            mischief=dict(self.mischief.did),
            deeds=dict(self.writer.did),
            files_home=len(home),
            bytes_home=sum(one.outside[1] for one in home.values()),
            removals=len(removals),
            removed_bytes=sum(gone.size_bytes for gone in removals),
            drains=self.drains,
            losses=len(lost),
        )
        assert not (lost or strays or twice), f"{figures}\nlost {lost[:20]}\nstray {strays[:20]}\ntwice {twice[:20]}"
        return figures


def _until(condition: Callable[[], bool], most_s: float) -> bool:
    """Waits for it, but not for ever; answers whether it holds."""
    deadline_s = time.monotonic() + most_s
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return condition()
