"""How rooms report what they do without knowing who listens: metrics, progress bars, the live view, the log.

A fact is a frozen value in the past tense. An observer must be quick, must not raise and must not await. What happens to many
files at once is one fact.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from forged.model.errors import ForgedError
from forged.model.files import Problem, ScanSummary
from forged.model.manifest import ManifestRow
from forged.model.media import MediaKind
from forged.model.plan import PlanCount
from forged.model.removal import KeptBecause
from forged.model.transfer import Landed


@dataclass(frozen=True, slots=True)
class ScanStarted:
    target: str


@dataclass(frozen=True, slots=True)
class FilesWanted:
    """More files were found that have to come home; totals grow while the scan streams."""

    target: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ScanEnded:
    target: str
    summary: ScanSummary
    plan: PlanCount
    duration_s: float


@dataclass(frozen=True, slots=True)
class BytesArrived:
    target: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FilesLanded:
    """Files got their final names and are remembered, in one go: one that came alone, or a thousand."""

    target: str
    landed: Sequence[Landed]
    source_now_ns: int
    """The source's clock in this moment."""
    wanted: bool = True
    """They are among the files that FilesWanted told; False where they were found at home before anything was asked for."""

    def latency_s(self, one: Landed) -> float:
        """From the last write at the source to its final name at home, by the source's clock."""
        return max(self.source_now_ns - one.entry.stat.mtime_ns, 0) / 1e9


@dataclass(frozen=True, slots=True)
class FileTrouble:
    target: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class VerifyFailed:
    """The two ends hashed different bytes of a file. It is fetched again; only if that never helps it is a FileTrouble."""

    target: str
    path: bytes


@dataclass(frozen=True, slots=True)
class Retried:
    target: str
    error: ForgedError
    attempt: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class HostKeyPinned:
    """A host key was accepted on first use: from now on only this one will do."""

    target: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """One more connection to the source stands."""

    target: str


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """One that was opened is no more, whoever ended it."""

    target: str


@dataclass(frozen=True, slots=True)
class HomeReady:
    """The destination can take files now."""

    target: str
    free_bytes: int


class ExamineResult(enum.Enum):
    """How looking into a file ended."""

    DONE = "done"
    PROBLEM = "problem"  # something of it could not be read
    CHANGED = "changed"  # it is not at home any more what had landed, or it is closed to us
    GONE = "gone"  # the owner has moved or deleted it
    GIVEN_UP = "given_up"  # it was begun too often


@dataclass(frozen=True, slots=True)
class FilesExamined:
    """Files at home were looked into, and what was found is remembered."""

    target: str
    kind: MediaKind
    result: ExamineResult
    files: int = 1


@dataclass(frozen=True, slots=True)
class FilesRemoved:
    """Cleanup removed files at the source, and told it to whoever takes events."""

    target: str
    files: int


@dataclass(frozen=True, slots=True)
class CleanupEnded:
    """Cleanup removed these at the source (with `dry_run`: would have), and kept so many others for these reasons."""

    target: str
    removed: Sequence[ManifestRow]
    kept: Mapping[KeptBecause, int]
    dry_run: bool = False


Fact = (
    HomeReady
    | ScanStarted
    | FilesWanted
    | ScanEnded
    | BytesArrived
    | FilesLanded
    | FilesExamined
    | FilesRemoved
    | CleanupEnded
    | FileTrouble
    | VerifyFailed
    | Retried
    | HostKeyPinned
    | ConnectionOpened
    | ConnectionClosed
)


class Observer(Protocol):
    """Someone who wants to know."""

    def notice(self, fact: Fact) -> None:
        """Takes one fact. Never raises, never blocks."""


class Nobody:
    """The observer that listens to nothing."""

    def notice(self, fact: Fact) -> None:
        """Forgets it."""


class Everyone:
    """Passes each fact to several observers."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def also(self, observer: Observer) -> None:
        """One more from now on."""
        self._observers.append(observer)

    def notice(self, fact: Fact) -> None:
        for observer in self._observers:
            observer.notice(fact)
