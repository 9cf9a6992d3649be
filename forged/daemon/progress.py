"""Where each target stands: an observer that turns facts into progress, for bars, plain lines and `sync.progress` alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from forged.kit.clock import Clock
from forged.model.files import ProblemKind, ScanSummary
from forged.model.observer import (
    BytesArrived,
    Fact,
    FilesLanded,
    FilesWanted,
    FileTrouble,
    Retried,
    ScanEnded,
    ScanStarted,
)
from forged.model.transfer import LandedAs

RATE_WINDOW_S = 5.0
"""A rate is the mean over so long: shorter jumps about with every file, longer hides that a link has died."""

RATE_STEP_S = 0.25
"""Bytes of one such step are counted together, so that the window holds about twenty numbers whatever the speed."""


@dataclass(slots=True)
class Rate:
    """Bytes per second over the last `RATE_WINDOW_S`."""

    _steps: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, size_bytes: int, now_s: float) -> None:
        if self._steps and now_s - self._steps[-1][0] < RATE_STEP_S:
            began_s, before = self._steps.pop()
            self._steps.append((began_s, before + size_bytes))
        else:
            self._steps.append((now_s, size_bytes))
        self._forget(now_s)

    def bytes_per_s(self, now_s: float) -> float:
        """0 when nothing came lately. Right after the start the mean is over the time there was, not over the whole window."""
        self._forget(now_s)
        if not self._steps:
            return 0.0
        return sum(size for _, size in self._steps) / max(now_s - self._steps[0][0], RATE_STEP_S)

    def _forget(self, now_s: float) -> None:
        while self._steps and now_s - self._steps[0][0] > RATE_WINDOW_S:
            self._steps.popleft()


@dataclass(slots=True)
class TargetProgress:
    """One target's numbers since the observer was made. Totals grow while a scan streams."""

    target: str
    scanning: bool = False
    summary: ScanSummary | None = None
    """What the last finished scan saw; None before the first."""
    wanted_files: int = 0
    wanted_bytes: int = 0
    landed_files: int = 0
    landed_bytes: int = 0
    arrived_bytes: int = 0
    left_files: int = 0
    """Wanted files that will not come in this round: the bar does not wait for them."""
    landed_last: bytes = b""
    """The file that landed last, by its name at the source; empty before the first."""
    retry: Retried | None = None
    """The last attempt failed and another one is coming; None as soon as something works again."""
    rate: Rate = field(default_factory=Rate)

    @property
    def total_files(self) -> int:
        return max(self.wanted_files - self.left_files, self.landed_files)

    @property
    def done_bytes(self) -> int:
        """What is here of `wanted_bytes`; bytes that had to come twice do not count twice."""
        return min(max(self.arrived_bytes, self.landed_bytes), self.wanted_bytes)

    def remaining_s(self, now_s: float) -> float | None:
        """How long the rest takes at this rate; None while nobody can know."""
        rate = self.rate.bytes_per_s(now_s)
        return (self.wanted_bytes - self.done_bytes) / rate if rate > 0 else None


class Progress:
    """The progress of all targets, by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.targets: dict[str, TargetProgress] = {}

    def expect(self, targets: Iterable[str]) -> None:
        """These are there from now on, in this order, before they have done anything."""
        for name in targets:
            self.targets.setdefault(name, TargetProgress(name))

    def notice(self, fact: Fact) -> None:
        """Takes one fact."""
        target = self.targets.setdefault(fact.target, TargetProgress(fact.target))
        if isinstance(fact, Retried):
            target.retry = fact
            return
        target.retry = None
        match fact:
            case ScanStarted():
                target.scanning = True
            case ScanEnded(summary=summary):
                target.scanning, target.summary = False, summary
            case FilesWanted(files=files, size_bytes=size_bytes):
                target.wanted_files += files
                target.wanted_bytes += size_bytes
            case BytesArrived(size_bytes=size_bytes):
                target.arrived_bytes += size_bytes
                target.rate.add(size_bytes, self._clock.monotonic_s())
            case FilesLanded():
                _landed(target, fact)
            case FileTrouble(problem=problem):
                target.left_files += problem.kind in AFTER_WANTED


AFTER_WANTED = frozenset({ProblemKind.CHANGED, ProblemKind.VANISHED, ProblemKind.BROKEN, ProblemKind.MISMATCH, ProblemKind.HOME})
"""Troubles that befall files which were already counted as wanted."""


def _landed(target: TargetProgress, fact: FilesLanded) -> None:
    if fact.landed:
        target.landed_last = fact.landed[-1].entry.path
    adopted = sum(one.how is LandedAs.ADOPTED for one in fact.landed)
    target.left_files += adopted if fact.wanted else 0
    target.landed_files += len(fact.landed) - adopted
    target.landed_bytes += sum(one.moved_bytes for one in fact.landed)
