"""Sift, the second step: which changes are wanted, which are settled, which are the same content after all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

from forged.model.files import HARMLESS, Entry, Problem, Stat
from forged.model.manifest import AtSource
from forged.model.observer import FileTrouble
from forged.model.paths import SourcePath
from forged.model.plan import Change, ChangeKind
from forged.rules import settle
from forged.sync.doors import Doors
from forged.sync.looks import Looks
from forged.sync.memorable import Memorable

OTHER_LINE_S = 0.25
"""A noticed file that another line brings is asked for again so much later: what comes home there may be the version before."""


@dataclass(slots=True)
class Later:
    """Files that cannot be brought yet: how many, and after how many seconds another look makes sense."""

    files: int = 0
    soonest_s: float | None = None
    noticed: dict[SourcePath, float] = field(default_factory=dict)
    """Those of a notice, each with its seconds. Those of a listing may be millions."""

    def add(self, wait_s: float) -> None:
        self.files += 1
        self.soonest_s = wait_s if self.soonest_s is None else min(wait_s, self.soonest_s)


class Sift:
    """Lets through the entries whose bytes have to come home now."""

    def __init__(self, doors: Doors, looks: Looks, *, noticed: bool = False, closed: bool = False) -> None:
        """`noticed`: a watch told of these files, not a listing. `closed`: it saw the writer close them, so they are settled."""
        self._doors = doors
        self._looks = looks
        self._memorable = Memorable(doors)
        self._noticed = noticed
        self.settles = not closed or doors.target.selection.min_age_s > 0
        """Whether what it lets through has been as it is for a while."""
        self.later = Later()
        self.elsewhere: list[Entry] = []
        """Of a listing: what another line, of a notice, is bringing already."""
        self._long_ago_ns = 0

    async def wanted(self, changes: AsyncIterable[list[Change]]) -> AsyncGenerator[list[Entry], None]:
        """NEW and MODIFIED files that are settled; DOUBTFUL ones whose content is another."""
        moment = await self._begin()
        async for batch in changes:
            shown = [change for change in batch if change.entry]
            wanted = self._doors.selector.wants_each([change.entry for change in shown if change.entry])
            chosen = self._remembered(list(compress(shown, wanted)))
            await self._welcome_back([c.row.path for c in chosen if c.kind is ChangeKind.BACK and c.row])
            ours = [c for c in chosen if c.entry and c.kind is not ChangeKind.BACK and self._claim(c.entry, moment)]
            doubtful = [change for change in ours if change.kind is ChangeKind.DOUBTFUL]
            others = await self._other_content(doubtful) if doubtful else set()
            yield [c.entry for c in ours if c.entry and (c.kind is not ChangeKind.DOUBTFUL or c.entry.path in others)]

    def release(self, paths: Sequence[SourcePath]) -> None:
        """They are home: another line may bring what becomes of them. What is not to be had now was released before."""
        self._looks.underway.release(paths)

    def end(self) -> None:
        """This line brings nothing any more."""
        self._looks.underway.leave_all(self)

    async def _begin(self) -> settle.Moment:
        """Compares the clocks, once for all files that come."""
        moment = settle.Moment(await self._doors.source.clock_ns(), self._doors.clock.monotonic_s())
        target = self._doors.target
        self._long_ago_ns = settle.surely_settled_ns(moment, target.settle, target.selection.min_age_s)
        self._looks.source_ahead_ns = moment.source_ns - self._doors.clock.now_ns()
        return moment

    def _claim(self, entry: Entry, moment: settle.Moment) -> bool:
        """Only what goes on is claimed, and not what is still being written: its writer may close it while this line goes on."""
        if self._looks.underway.is_claimed(entry.path):
            self._leave_to_the_other(entry)
            return False
        if not self._settled(entry, moment):
            return False
        self._looks.underway.claim(entry, self)
        return True

    def _remembered(self, chosen: list[Change]) -> list[Change]:
        """Without the files whose names the memory cannot hold: one of them would take its whole batch with it."""
        if not self._memorable.bounded:
            return chosen
        refusals = [self._memorable.refusal(change.entry) if change.entry else None for change in chosen]
        for problem in refusals:
            if problem is not None:
                self._doors.observer.notice(FileTrouble(self._doors.target.name, problem))
        return [change for change, problem in zip(chosen, refusals, strict=True) if problem is None]

    def _leave_to_the_other(self, entry: Entry) -> None:
        if self._noticed:
            self._wait(entry, OTHER_LINE_S)
        else:
            self.elsewhere.append(entry)

    def _wait(self, entry: Entry, wait_s: float) -> None:
        self.later.add(wait_s)
        if self._noticed:
            self.later.noticed[entry.path] = wait_s

    def _settled(self, entry: Entry, moment: settle.Moment) -> bool:
        if not self.settles:
            return True
        stat, target = entry.stat, self._doors.target
        earlier = self._looks.earlier(entry.path)
        if earlier is None and stat.mtime_ns <= self._long_ago_ns and (stat.ctime_ns or 0) <= self._long_ago_ns:
            return True
        wait_s = settle.wait_s(stat, earlier, moment, target.settle, target.selection.min_age_s)
        if wait_s > 0:
            self._looks.remember(entry, moment)
            self._wait(entry, wait_s)
        return wait_s <= 0

    async def _welcome_back(self, paths: Sequence[SourcePath]) -> None:
        if paths:
            await self._doors.store.manifest.mark(self._doors.target.manifest, paths, AtSource.PRESENT)

    async def _other_content(self, doubtful: Sequence[Change]) -> set[SourcePath]:
        """Hashes at the source what only looks different; equal content is remembered under its new look and moves nothing."""
        rows = {c.entry.path: c.row for c in doubtful if c.entry and c.row}
        entries = [c.entry for c in doubtful if c.entry]
        if not self._doors.source.capabilities.hashing:
            return {entry.path for entry in entries if not entry.stat.same_file(rows[entry.path].stat)}
        same: list[tuple[SourcePath, Stat]] = []
        unknown: list[SourcePath] = []
        others: set[SourcePath] = set()
        async for answer in self._doors.source.hash(entries):
            if isinstance(answer, Problem):
                self._doors.observer.notice(FileTrouble(self._doors.target.name, answer))
                unknown += [] if answer.kind in HARMLESS else [SourcePath(answer.path)]
            elif answer.sha256 == rows[answer.entry.path].sha256:
                same.append((answer.entry.path, answer.entry.stat))
            else:
                others.add(answer.entry.path)
        await self._doors.store.manifest.restat(self._doors.target.manifest, same)
        self._looks.underway.leave(unknown)
        self._looks.underway.release(path for path in rows if path not in others)
        return others
