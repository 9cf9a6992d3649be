"""Steps 2 and 4: look at the source and compare with the manifest, a window at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from forged.model.errors import SourceError
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart, ScanSummary
from forged.model.manifest import AtSource, ManifestRow
from forged.model.observer import FileTrouble, ScanEnded, ScanStarted
from forged.model.paths import SourcePath
from forged.model.plan import Change, ChangeKind, PlanCount
from forged.rules import diff
from forged.sync.doors import Doors

PAGE_ROWS = 4_096
"""Manifest rows read at once; as many as a listing part has entries, so the two sides of a window are of one size."""

MOST_PROBLEMS = 10_000
"""Problems of a listing kept by path: enough for a person, and little enough for a hostile box that has millions."""


class Scan:
    """One look at a source. Streams its changes; afterwards it knows what it saw and what had vanished."""

    def __init__(self, doors: Doors, folders: Sequence[SourcePath]) -> None:
        self._doors = doors
        self._folders = folders
        self._end: ListingEnd | None = None
        self._unknown: set[bytes] = set()
        self._gone: list[SourcePath] = []
        self._size_bytes = 0
        self._began_ns = 0
        self.problems: list[Problem] = []
        """What could not be looked at, the first `MOST_PROBLEMS` of them."""
        self.plan = PlanCount()
        self.error: SourceError | None = None

    async def changes(self) -> AsyncGenerator[list[Change], None]:
        """NEW, MODIFIED, DOUBTFUL and BACK as they are found. A listing that breaks just ends them: see `error` and `summary`."""
        name, started_s = self._doors.target.name, self._doors.clock.monotonic_s()
        self._began_ns = self._doors.clock.now_ns()
        self._doors.observer.notice(ScanStarted(name))
        try:
            async for entries, rows in self.windows():
                yield [change for change in diff.window(entries, rows) if self._count(change)]
        except SourceError as error:
            self.error = error
        duration_s = self._doors.clock.monotonic_s() - started_s
        self._doors.observer.notice(ScanEnded(name, self.summary, self.plan, duration_s))

    @property
    def summary(self) -> ScanSummary:
        return ScanSummary(self._end is not None, self.plan.listed, self._size_bytes, frozenset(self._unknown))

    def vanished(self) -> list[SourcePath]:
        """What was remembered as present and is surely not there any more. Empty unless the listing was complete (promise 4)."""
        summary = self.summary
        return [path for path in self._gone if summary.knows(path)]

    def _count(self, change: Change) -> bool:
        """Counts every change; only those with something to do now go on."""
        if change.kind is ChangeKind.GONE and change.row is not None and change.row.landed_at_ns > self._began_ns:
            return False  # a notice brought it after the listing had passed its folder
        self.plan.add(change)
        if change.kind is ChangeKind.GONE and change.row is not None:
            self._gone.append(change.row.path)
            return False
        return True

    async def windows(self) -> AsyncIterator[tuple[list[Entry], list[ManifestRow]]]:
        """Ranges of paths: what the source shows in each, and what we remember. Raises SourceError when the listing breaks."""
        after: SourcePath | None = None
        async for part in self._doors.source.list(self._folders):
            assert not isinstance(part, SamePart), "no digest was given"
            if isinstance(part, ListingEnd):
                entries: list[Entry] = []
                upto = None  # whatever is remembered behind the last entry belongs to the last window
                self._end = part
            else:
                entries = self._taken(part)
                if not entries:
                    continue
                upto = entries[-1].path
            async for window in self._paged(entries, after, upto):
                yield window
            after = upto

    def _taken(self, part: ListingPart) -> list[Entry]:
        """A part's entries, counted; its problems reported."""
        self.plan.listed += len(part.entries)
        self._size_bytes += sum(entry.stat.size_bytes for entry in part.entries)
        for problem in part.problems:
            self._note(problem)
        return list(part.entries)

    def _note(self, problem: Problem) -> None:
        if problem.kind is not ProblemKind.LINK:
            self._doubt(problem.path)
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        self._doors.observer.notice(FileTrouble(self._doors.target.name, problem))

    def _doubt(self, path: bytes) -> None:
        """Nothing is concluded from what is missing there; and from nothing at all, when there are too many such places to keep."""
        self._unknown.add(path)
        if len(self._unknown) > MOST_PROBLEMS:
            self._unknown = {b""}

    async def _paged(
        self, entries: list[Entry], after: SourcePath | None, upto: SourcePath | None
    ) -> AsyncIterator[tuple[list[Entry], list[ManifestRow]]]:
        """One window, cut further where more rows than a page belong to it (a folder of a million files vanished)."""
        while True:
            rows = list(await self._doors.store.manifest.between(self._doors.target.manifest, after, upto, PAGE_ROWS))
            if len(rows) < PAGE_ROWS:
                yield entries, self._ours(rows)
                return
            after = rows[-1].path
            cut = next((i for i, entry in enumerate(entries) if entry.path > after), len(entries))
            yield entries[:cut], self._ours(rows)
            entries = entries[cut:]

    def _ours(self, rows: list[ManifestRow]) -> list[ManifestRow]:
        """Rows within the folders that are looked at: a sync of one folder says nothing about the others."""
        if self._folders:
            rows = [row for row in rows if any(row.path.startswith(folder + b"/") for folder in self._folders)]
        self.plan.remembered += sum(row.at_source is AtSource.PRESENT for row in rows)
        return rows


async def noticed(doors: Doors, entries: Sequence[Entry]) -> AsyncGenerator[list[Change], None]:
    """The changes of files that a watch noticed, without a listing."""
    ascending = sorted(entries, key=lambda entry: entry.path)
    rows = await doors.store.manifest.current(doors.target.manifest, [entry.path for entry in ascending])
    yield list(diff.window(ascending, [row for row in rows if row is not None]))
