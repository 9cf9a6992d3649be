"""What happens in the tour, as numbers: told by the box (files made) and by the daemon (files home). Nothing is drawn here."""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path

from forged.demo.grounds import PROGRAMS, Place
from forged.demo.producer import Made
from forged.kit.clock import Clock
from forged.model import rpc
from forged.model.events import EventKind

RECENT = 6
"""Arrivals shown by name: as many as fit on a screen of 24 lines."""

SPARKS = 60
"""Seconds that the sparkline looks back."""


class Phase(Enum):
    """The chapters, in the words the screen shows."""

    STARTING = "starting the box and the daemon"
    MAKING = "the box makes pictures and films; each comes home once it is closed"
    LAST = "the box has stopped; one more sync looks at everything"
    AGEING = "waiting until the last files are old enough (in real life: a day)"
    CLEANING = "freeing the rented disk: only what is proven safe at home goes"
    COMPARING = "comparing home with what the box has made, byte by byte"
    OVER = "done"


@dataclass(frozen=True, slots=True)
class Key:
    """One file of one target, by its path at the source."""

    target: str
    path: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file that landed."""

    key: Key
    path: Path
    """At home."""
    size_bytes: int
    at_s: float
    """Time of day, by the daemon."""


@dataclass(slots=True)
class Count:
    """Files and their bytes."""

    files: int = 0
    size_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        self.files += 1
        self.size_bytes += size_bytes


@dataclass(slots=True)
class Story:
    """The tour so far."""

    clock: Clock
    places: Sequence[Place]
    dest: Path
    began_s: float
    seconds: float
    """How long the box works."""
    phase: Phase = Phase.STARTING
    ledger: dict[Key, Made] = field(default_factory=dict)
    """Every whole file the box has ever made."""
    cut: Made | None = None
    made: dict[str, Count] = field(default_factory=dict)
    home: dict[str, Count] = field(default_factory=dict)
    landed_s: dict[Key, float] = field(default_factory=dict)
    latencies_s: dict[Key, float] = field(default_factory=dict)
    """From the box's close to the final name at home. One for each file: a tour is short."""
    recent: deque[Arrival] = field(default_factory=lambda: deque(maxlen=RECENT))
    per_second: deque[int] = field(default_factory=lambda: deque([0] * SPARKS, maxlen=SPARKS))
    targets: Sequence[rpc.Target] = ()
    jobs: int = 0
    last_job: rpc.Job | None = None
    cleanups: dict[str, rpc.Cleanup] = field(default_factory=dict)
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    """The daemon watches all targets."""
    all_home: asyncio.Event = field(default_factory=asyncio.Event)
    """The daemon has told of every file the box has told of so far."""
    _second: int = 0

    def __post_init__(self) -> None:
        for place in self.places:
            self.made[place.target], self.home[place.target] = Count(), Count()

    @property
    def elapsed_s(self) -> float:
        return self.clock.monotonic_s() - self.began_s

    def begin_making(self) -> None:
        """The box starts; time counts from here."""
        self.phase, self.began_s, self._second = Phase.MAKING, self.clock.monotonic_s(), 0

    # --- told by the box --------------------------------------------------------------------------------------------------

    def tell(self, made: Made) -> None:
        """The box has closed a file."""
        if not made.whole:
            self.cut = made
            return
        key = key_of(made)
        self.ledger[key] = made
        self.made[key.target].add(made.size_bytes)
        self._timed(key)

    # --- told by the daemon -----------------------------------------------------------------------------------------------

    def stand(self, targets: Sequence[rpc.Target]) -> None:
        """How the targets stand; nothing where nobody asked."""
        if targets:
            self.targets = targets
            if all(target["watch"] for target in targets):
                self.watched.set()

    def hear(self, event: rpc.Event) -> None:
        """A file has landed."""
        if event["kind"] != EventKind.FILE_SYNCED.value:
            return
        key, size_bytes = Key(event["target"], str(event["body"]["path"])), int(str(event["body"]["size"]))
        at_s = datetime.fromisoformat(event["at"]).timestamp()
        self.home[key.target].add(size_bytes)
        self.recent.appendleft(Arrival(key, self.dest / event["key"], size_bytes, at_s))
        self.landed_s[key] = at_s
        self.turn_second()
        self.per_second[-1] += 1
        self._timed(key)

    def synced(self, job: rpc.Job) -> None:
        """A job has ended."""
        self.jobs, self.last_job = self.jobs + 1, job

    def cleaned(self, target: str, cleanup: rpc.Cleanup) -> None:
        """What `forgectl cleanup` answered."""
        self.cleanups[target] = cleanup

    def _timed(self, key: Key) -> None:
        """Box and daemon tell their halves in any order, through two different pipes."""
        if key in self.ledger and key in self.landed_s:
            self.latencies_s[key] = max(self.landed_s[key] - self.ledger[key].closed_ns / 1e9, 0.0)
        if len(self.latencies_s) == len(self.ledger):
            self.all_home.set()
        else:
            self.all_home.clear()

    def turn_second(self) -> None:
        """Moves the sparkline on by the seconds that have passed."""
        now = int(self.elapsed_s)
        self.per_second.extend([0] * min(now - self._second, SPARKS))
        self._second = now

    # --- asked by whoever draws -------------------------------------------------------------------------------------------

    @property
    def total_made(self) -> Count:
        return total(self.made)

    @property
    def total_home(self) -> Count:
        return total(self.home)

    @property
    def removed(self) -> Count:
        """What cleanup has removed at the box."""
        answers = self.cleanups.values()
        return Count(sum(one["files_deleted"] for one in answers), sum(one["space_freed_bytes"] for one in answers))

    def on_the_box(self, target: str) -> int:
        """Files that are there now."""
        cut = self.cut is not None and key_of(self.cut).target == target
        gone = self.cleanups[target]["files_deleted"] if target in self.cleanups else 0
        return self.made[target].files + cut - gone

    @property
    def median_s(self) -> float | None:
        """Half of the files were home sooner than this after they were closed."""
        return statistics.median(self.latencies_s.values()) if self.latencies_s else None

    @property
    def worst_s(self) -> float | None:
        return max(self.latencies_s.values(), default=None)

    @property
    def problems(self) -> list[rpc.Problem]:
        """What the daemon says is wrong now."""
        return [problem for target in self.targets for problem in target["problems"]]


def key_of(made: Made) -> Key:
    """Whose file it is, and its path below that target's source."""
    target, folder = next((target, folder) for target, (_, folder) in PROGRAMS.items() if made.path.startswith(f"{folder}/"))
    return Key(target, made.path.removeprefix(f"{folder}/"))


def total(counts: dict[str, Count]) -> Count:
    """All of them together."""
    return Count(sum(count.files for count in counts.values()), sum(count.size_bytes for count in counts.values()))
