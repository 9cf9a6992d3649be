"""Scan, the first step: compares what the source shows (`listing`) with the manifest, a window at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from forged.model.errors import SourceBroken, SourceError
from forged.model.files import Entry, Outline, Problem, ScanSummary
from forged.model.manifest import ManifestRow
from forged.model.observer import ScanEnded, ScanStarted
from forged.model.paths import SourcePath
from forged.model.plan import Change, ChangeKind, PlanCount
from forged.rules import diff
from forged.sync.doors import Doors
from forged.sync.known import PAGE_ROWS, Known, KnownPart, imprint, within
from forged.sync.listing import Listing, Stretch

T = TypeVar("T", Outline, ManifestRow)


class Scan:
    """One look at a source. Streams its changes; afterwards it knows what it saw and what had vanished."""

    def __init__(self, doors: Doors, folders: Sequence[SourcePath], known: Known | None = None) -> None:
        """`known`: what rounds before concluded, and this one will."""
        self._doors = doors
        self._folders = folders
        self._known = known
        self._listing = Listing(doors, folders, known)
        self._manifest, self._name = doors.store.manifest, doors.target.manifest
        self._gone: list[SourcePath] = []
        self._began_ns = 0
        self._nothing_remembered = False
        self.plan = PlanCount()
        self.error: SourceError | None = None

    async def changes(self) -> AsyncGenerator[list[Change], None]:
        """NEW, MODIFIED, DOUBTFUL and BACK as they are found. A listing that breaks just ends them: see `error` and `summary`."""
        name, started_s = self._doors.target.name, self._doors.clock.monotonic_s()
        self._began_ns = self._doors.clock.now_ns()
        self._nothing_remembered = not await self._manifest.between(self._name, None, None, 1)
        self._doors.observer.notice(ScanStarted(name))
        try:
            async for stretch in self._listing.stretches():
                if isinstance(stretch, KnownPart):
                    self._trust(stretch)
                    continue
                async for changes in self._differences(stretch):
                    yield changes
        except SourceError as error:
            self.error = error
            if self._known is not None and isinstance(error, SourceBroken):
                self._known.forget()  # if it is we who are wrong about it, the next look heals that
        duration_s = self._doors.clock.monotonic_s() - started_s
        self._doors.observer.notice(ScanEnded(name, self.summary, self.plan, duration_s))

    @property
    def summary(self) -> ScanSummary:
        return self._listing.summary

    @property
    def problems(self) -> Sequence[Problem]:
        """What could not be looked at, as far as it is kept by path."""
        return self._listing.problems

    def vanished(self) -> list[SourcePath]:
        """What was remembered as present and is surely not there any more. Empty unless the listing was complete (promise 4)."""
        summary = self.summary
        return [path for path in self._gone if summary.knows(path)]

    async def windows(self) -> AsyncIterator[tuple[Sequence[Entry], Sequence[ManifestRow]]]:
        """Ranges of paths: what the source shows in each, and all we remember. Raises SourceError when the listing breaks."""
        async for stretch in self._listing.stretches():
            assert not isinstance(stretch, KnownPart), "who looks at all rows knows no parts"
            async for window in self._windows(stretch, self._manifest.between, lambda row: row.path):
                yield window

    # --- one stretch ------------------------------------------------------------------------------------------------------

    def _trust(self, part: KnownPart) -> None:
        """It is as it was when there was nothing to do in it."""
        self.plan.listed += part.entries
        self.plan.remembered += part.remembered
        self.plan.changes.update(dict(part.unwanted))

    async def _differences(self, stretch: Stretch) -> AsyncIterator[list[Change]]:
        self.plan.listed += len(stretch.entries)
        remembered = self.plan.remembered
        found: list[Change] = []
        async for entries, present in self._windows(stretch, self._manifest.outlines, lambda outline: outline[0]):
            self.plan.remembered += len(present)
            changes = await self._compared(stretch, entries, present)
            if stretch.digest is not None:
                found += changes
            yield [change for change in changes if self._count(change)]
        self._remember(stretch, found, self.plan.remembered - remembered)

    async def _compared(self, stretch: Stretch, entries: Sequence[Entry], present: Sequence[Outline]) -> list[Change]:
        """Only what is not plainly as it was is worth reading its rows; and where there are none at all, not even that."""
        if not present and await self._is_blank(stretch):
            return list(diff.window(entries, []))
        others, paths = diff.unlike(entries, present)
        rows = await self._manifest.current(self._name, paths) if paths else []
        return list(diff.window(others, [row for row in rows if row is not None]))

    async def _is_blank(self, stretch: Stretch) -> bool:
        """Whether no row is remembered where none is present: surely so in a look that began with nothing at all remembered, since
        what came since then is present."""
        return self._nothing_remembered or not await self._manifest.between(self._name, stretch.after, stretch.upto, 1)

    def _count(self, change: Change) -> bool:
        """Counts every change; only those with something to do now go on."""
        if change.kind is ChangeKind.GONE and change.row is not None and change.row.landed_at_ns > self._began_ns:
            return False  # a notice brought it after the listing had passed its folder
        self.plan.add(change)
        if change.kind is ChangeKind.GONE and change.row is not None:
            self._gone.append(change.row.path)
            return False
        return True

    def _remember(self, stretch: Stretch, changes: Sequence[Change], remembered: int) -> None:
        """What the next round has to know of this part, in order not to ask for it again."""
        if self._known is None or stretch.digest is None:
            return
        wants = self._doors.selector.wants
        unwanted = [change for change in changes if change.entry is not None and not wants(change.entry)]
        strangers = {change.entry.path for change in unwanted if change.entry is not None}
        done = [entry.outline for entry in stretch.entries if entry.path not in strangers]
        part = KnownPart(
            after=stretch.after,
            first=stretch.entries[0].path,
            last=stretch.entries[-1].path,
            entries=len(stretch.entries),
            size_bytes=stretch.size_bytes,
            unwanted=tuple(Counter(change.kind for change in unwanted).items()),
            done=None if any(change.row for change in unwanted) else imprint(done),
            remembered=remembered,
            sure=len(unwanted) == len(changes),
        )
        self._known.remember(stretch.digest, part)

    async def _windows(
        self, stretch: Stretch, read: Callable[..., Awaitable[Sequence[T]]], path_of: Callable[[T], SourcePath]
    ) -> AsyncIterator[tuple[Sequence[Entry], Sequence[T]]]:
        """The stretch, cut where more rows than a page belong to it (a folder of a million files vanished)."""
        entries, after = stretch.entries, stretch.after
        while True:
            page = await read(self._name, after, stretch.upto, PAGE_ROWS)
            ours = [row for row in page if within(path_of(row), self._folders)]
            if len(page) < PAGE_ROWS:
                yield entries, ours
                return
            after = path_of(page[-1])
            cut = next((i for i, entry in enumerate(entries) if entry.path > after), len(entries))
            yield entries[:cut], ours
            entries = entries[cut:]


async def noticed(doors: Doors, entries: Sequence[Entry]) -> AsyncGenerator[list[Change], None]:
    """The changes of files that a watch noticed, without a listing."""
    ascending = sorted(entries, key=lambda entry: entry.path)
    rows = await doors.store.manifest.current(doors.target.manifest, [entry.path for entry in ascending])
    yield list(diff.window(ascending, [row for row in rows if row is not None]))
