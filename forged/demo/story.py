"""What happens in the tour, as numbers: told by the box (files made) and by forged's facts (files home). Nothing is drawn here."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from forged.demo.grounds import PROGRAMS, Place
from forged.demo.producer import Made
from forged.kit.clock import Clock
from forged.model.errors import ForgedError
from forged.model.observer import BytesArrived, Fact, FileLanded, Retried
from forged.sync.cycle import RoundResult

RECENT = 6
"""Arrivals shown by name: as many as fit on a screen of 24 lines."""

SPARKS = 60
"""Seconds that the sparkline looks back."""


class Phase(Enum):
    """The chapters, in the words the screen shows."""

    STARTING = "starting the box"
    MAKING = "the box makes pictures and films, forged brings them home"
    LAST = "the box has stopped; the last files come home"
    COMPARING = "comparing both ends, byte by byte"
    OVER = "done"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file that landed."""

    target: str
    path: Path
    """At home."""
    size_bytes: int
    latency_s: float


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
    """The tour so far. An observer of forged; the box's own words come through `tell`."""

    clock: Clock
    places: Sequence[Place]
    dest: Path
    began_s: float
    seconds: float
    """How long the box works."""
    phase: Phase = Phase.STARTING
    made: dict[str, Count] = field(default_factory=dict)
    home: dict[str, Count] = field(default_factory=dict)
    cut: Made | None = None
    recent: deque[Arrival] = field(default_factory=lambda: deque(maxlen=RECENT))
    latencies_s: list[float] = field(default_factory=list)
    """One for each file: a tour is short."""
    per_second: deque[int] = field(default_factory=lambda: deque([0] * SPARKS, maxlen=SPARKS))
    waiting: dict[str, int] = field(default_factory=dict)
    trouble: ForgedError | None = None
    rounds: int = 0
    box_is_off: asyncio.Event = field(default_factory=asyncio.Event)
    """The box has stopped, and everything it said has been told."""
    _second: int = 0

    def __post_init__(self) -> None:
        for place in self.places:
            self.made[place.target], self.home[place.target] = Count(), Count()

    @property
    def elapsed_s(self) -> float:
        return self.clock.monotonic_s() - self.began_s

    def tell(self, made: Made) -> None:
        """The box has closed a file."""
        if not made.whole:
            self.cut = made
            return
        target = next(target for target, (_, folder) in PROGRAMS.items() if made.path.startswith(folder))
        self.made[target].add(made.size_bytes)

    def notice(self, fact: Fact) -> None:
        """forged has done something."""
        match fact:
            case FileLanded(target=target, landed=landed, latency_s=latency_s):
                size_bytes = landed.entry.stat.size_bytes
                self.home[target].add(size_bytes)
                self.recent.appendleft(Arrival(target, self.dest / os.fsdecode(landed.home), size_bytes, latency_s))
                self.latencies_s.append(latency_s)
                self.turn_second()
                self.per_second[-1] += 1
            case Retried(error=error):
                self.trouble = error
            case BytesArrived():
                self.trouble = None
            case _:
                pass

    def turn_second(self) -> None:
        """Moves the sparkline on by the seconds that have passed."""
        now = int(self.elapsed_s)
        self.per_second.extend([0] * min(now - self._second, SPARKS))
        self._second = now

    def round_over(self, result: RoundResult) -> None:
        """One look at one target is over."""
        self.rounds += 1
        self.waiting[result.job.target] = result.waiting.files
        self.trouble = result.error

    @property
    def total_made(self) -> Count:
        return total(self.made)

    @property
    def total_home(self) -> Count:
        return total(self.home)

    @property
    def median_s(self) -> float | None:
        """Half of the files were home sooner than this after their last byte."""
        return statistics.median(self.latencies_s) if self.latencies_s else None


def total(counts: dict[str, Count]) -> Count:
    """All of them together."""
    return Count(sum(count.files for count in counts.values()), sum(count.size_bytes for count in counts.values()))
