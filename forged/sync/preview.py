"""`--dry-run`: the plan, printed instead of carried out. Looks at the source and at the manifest, changes neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from forged.model.errors import ForgedError
from forged.model.files import Entry
from forged.model.paths import SourcePath
from forged.model.plan import Change, ChangeKind, PlanCount
from forged.rules import settle
from forged.sync.doors import Doors
from forged.sync.scan import Scan

MOST_FILES = 10_000
"""Files a preview names; the rest is counted. An answer must stay readable, and bounded in memory."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that a sync would look into now, and why."""

    entry: Entry
    kind: ChangeKind


@dataclass(slots=True)
class Preview:
    """What a sync would do. DOUBTFUL files would be hashed first and move only if their content differs."""

    target: str
    files: list[PlannedFile] = field(default_factory=list)
    total_files: int = 0
    total_bytes: int = 0
    waiting: int = 0
    """Files that are still being written."""
    vanished: int = 0
    plan: PlanCount = field(default_factory=PlanCount)
    error: ForgedError | None = None

    def add(self, change: Change) -> None:
        if change.entry is None or change.kind is ChangeKind.BACK:
            return
        self.total_files += 1
        self.total_bytes += change.entry.stat.size_bytes
        if len(self.files) < MOST_FILES:
            self.files.append(PlannedFile(change.entry, change.kind))


async def preview_once(doors: Doors, folders: Sequence[SourcePath] = ()) -> Preview:
    """Connects, and answers what `preview` does. Never raises for what can go wrong outside: that is in the answer."""
    try:
        async with doors.source:
            return await preview(doors, folders)
    except ForgedError as error:
        return Preview(doors.target.name, error=error)


async def preview(doors: Doors, folders: Sequence[SourcePath] = ()) -> Preview:
    """What a round over one target, whose source is open, would do. Never raises for what can go wrong outside."""
    seen = Preview(doors.target.name)
    scan = Scan(doors, folders)
    try:
        moment = settle.Moment(await doors.source.clock_ns(), doors.clock.monotonic_s())
        async for changes in scan.changes():
            for change in changes:
                _sort(doors, seen, change, moment)
        seen.error = scan.error
    except ForgedError as error:
        seen.error = error
    seen.plan, seen.vanished = scan.plan, len(scan.vanished())
    return seen


def _sort(doors: Doors, seen: Preview, change: Change, moment: settle.Moment) -> None:
    """Wanted now, wanted later, or not wanted."""
    if change.entry is None or not doors.selector.wants(change.entry):
        return
    target = doors.target
    if settle.wait_s(change.entry.stat, None, moment, target.settle, target.selection.min_age_s) > 0:
        seen.waiting += 1
    else:
        seen.add(change)
