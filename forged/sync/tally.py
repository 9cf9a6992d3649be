"""A round in numbers: an observer that counts what the steps report, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from forged.model.errors import ForgedError
from forged.model.files import HARMLESS, Problem
from forged.model.jobs import JobResult
from forged.model.observer import Everyone, Fact, FilesLanded, FilesWanted, FileTrouble, Observer, ScanEnded
from forged.model.transfer import Landed, LandedAs

MOST_PROBLEMS = 100
"""Problems kept by name; more are only counted. A person reads a hundred at most, and a hostile listing may hold millions."""


@dataclass(slots=True)
class Tally:
    """What happened to how many files."""

    listed: int = 0
    wanted: int = 0
    wanted_bytes: int = 0
    transferred: int = 0
    transferred_bytes: int = 0
    adopted: int = 0
    versions: int = 0
    incomplete: int = 0
    troubled: int = 0
    failed: int = 0
    """Files that should have come home and did not."""
    problems: list[Problem] = field(default_factory=list)

    def beside(self, observer: Observer) -> Observer:
        """An observer that counts here and passes everything on."""
        return Everyone(self, observer)

    def notice(self, fact: Fact) -> None:
        match fact:
            case FilesLanded(landed=landed):
                self._landed(landed)
            case FileTrouble(problem=problem):
                self._trouble(problem)
            case FilesWanted(files=files, size_bytes=size_bytes):
                self.wanted += files
                self.wanted_bytes += size_bytes
            case ScanEnded(summary=summary):
                self.listed = summary.files
            case _:
                pass

    def _landed(self, landed: Sequence[Landed]) -> None:
        how = Counter([one.how for one in landed])
        self.adopted += how[LandedAs.ADOPTED]
        self.transferred += len(landed) - how[LandedAs.ADOPTED]
        self.transferred_bytes += sum([one.moved_bytes for one in landed])
        self.versions += how[LandedAs.VERSION]
        self.incomplete += [one.incomplete for one in landed].count(True)

    def _trouble(self, problem: Problem) -> None:
        self.troubled += 1
        self.failed += problem.kind not in HARMLESS
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def result(self, error: ForgedError | None, duration_s: float) -> JobResult:
        """The job's result in the words of the interface."""
        errors = [str(problem) for problem in self.problems if problem.kind not in HARMLESS]
        if error is not None:
            errors.insert(0, error.message)
        if self.failed > len(errors):
            errors.append(f"and {self.failed - len(errors)} more")
        success = error is None and not self.failed
        return JobResult(success, self.transferred, self.transferred_bytes, duration_s, tuple(errors))
