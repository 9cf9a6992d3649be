"""Is everything safe? Source, manifest and home side by side, looking at home itself (promise 14). Changes nothing."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

from forged.destination.base import Closed, HomeLook
from forged.model.files import Entry, ProblemKind
from forged.model.manifest import ManifestRow
from forged.model.paths import SourcePath
from forged.rules import settle
from forged.sync.doors import Doors
from forged.sync.handed import not_taken
from forged.sync.home import ready
from forged.sync.scan import Scan


class Symbol(enum.Enum):
    """As `rclone check --combined` draws them."""

    SAME = "="
    MISSING = "-"
    ONLY_HOME = "+"
    DIFFERS = "*"


@dataclass(frozen=True, slots=True)
class Compared:
    """One file. `why` is a stable word, empty where there is nothing to add."""

    path: bytes
    symbol: Symbol
    why: str = ""


NOT_INGESTED = "not_ingested"
"""Home, and a required ingest has not taken it."""

ASIDE = frozenset({"excluded", "too_large", "tombstoned", "incomplete", "link"})
"""What stays behind knowingly: it is listed, but does not make a box unsafe to destroy."""


MOST_NAMED = 10_000
"""Files named in a verdict: an answer must stay readable, and bounded in memory."""


@dataclass(slots=True)
class Verdict:
    """All of a source, compared. `complete` is False when the listing broke: then nothing is safe."""

    complete: bool = False
    files: int = 0
    size_bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    unsafe: int = 0
    missing: list[Compared] = field(default_factory=list)
    """Files that make the box unsafe to destroy; the first `MOST_NAMED` by name, all counted in `unsafe`."""
    aside: list[Compared] = field(default_factory=list)

    @property
    def safe(self) -> bool:
        return self.complete and not self.unsafe

    def add(self, one: Compared) -> None:
        if one.symbol is Symbol.ONLY_HOME:
            return
        if one.why in ("", NOT_INGESTED):
            self.counts["home"] += 1
        if not one.why:
            return
        self.counts[one.why] += 1
        self.unsafe += one.why not in ASIDE
        named = self.aside if one.why in ASIDE else self.missing
        if len(named) < MOST_NAMED:
            named.append(one)


class Comparison:
    """Compares one target, whose source is open, from `after` on. What could not be looked at comes last, without an order."""

    def __init__(
        self, doors: Doors, *, rehash: bool, ingests: bool = False, after: SourcePath | None = None, after_problems: int = 0
    ) -> None:
        """`after_problems`: so many of those at the end were told before, and with them all that is in order. `ingests`: what is
        home and equal, but was not taken by a required handler, is told as such."""
        self._ingests = ingests
        self._doors = doors
        self._rehash = rehash
        self._after = after or b""
        self._only_problems = after_problems > 0
        self.problems_told = after_problems
        self.scan = Scan(doors, ())

    async def rows(self) -> AsyncGenerator[Compared, None]:
        """Ascending by path; at the end what could not be looked at. Raises ForgedError; a listing that breaks raises, too."""
        await ready(self._doors)
        moment = settle.Moment(await self._doors.source.clock_ns(), self._doors.clock.monotonic_s())
        async for entries, rows in self.scan.windows():
            if self._only_problems:
                continue
            for one in await self._window(entries, [row for row in rows if row.path > self._after], moment):
                yield one
        for problem in self.scan.problems[self.problems_told :]:
            self.problems_told += 1
            yield Compared(problem.path, Symbol.MISSING, "link" if problem.kind is ProblemKind.LINK else "unreadable")

    async def _window(self, entries: Sequence[Entry], rows: Sequence[ManifestRow], moment: settle.Moment) -> list[Compared]:
        known = {row.path: row for row in rows}
        looks = dict(zip(known, await self._at_home(rows), strict=True))
        here = {entry.path: entry for entry in entries if entry.path > self._after}
        found = [self._entry(entry, known.get(path), looks.get(path), moment) for path, entry in here.items()]
        found += [Compared(path, Symbol.ONLY_HOME) for path in known if path not in here and looks[path] == ""]
        if self._ingests:
            found = await self._ingested(found, rows)
        return sorted(found, key=lambda one: one.path)

    async def _ingested(self, found: Sequence[Compared], rows: Sequence[ManifestRow]) -> list[Compared]:
        home = {one.path for one in found if one.symbol is Symbol.SAME and not one.why}
        missing = await not_taken(self._doors, [row for row in rows if row.path in home])
        return [replace(one, why=NOT_INGESTED) if one.path in missing else one for one in found]

    async def _at_home(self, rows: Sequence[ManifestRow]) -> list[str]:
        """What is wrong with each copy at home, in a word; empty = nothing."""
        looks = await self._doors.destination.look([row.home for row in rows])
        words = []
        for row, look in zip(rows, looks, strict=True):
            if isinstance(look, Closed):
                words.append("home_unreadable")
            elif look is None:
                words.append("tombstoned" if row.tombstone_at_ns is not None else "home_missing")
            else:
                words.append("" if await self._equal(row, look) else "home_differs")
        return words

    async def _equal(self, row: ManifestRow, look: HomeLook) -> bool:
        if look.size_bytes != row.stat.size_bytes:
            return False
        return not self._rehash or await self._doors.destination.hash(row.home) == row.sha256

    def _entry(self, entry: Entry, row: ManifestRow | None, wrong: str | None, moment: settle.Moment) -> Compared:
        """One file of the source, and why it is not simply home."""
        if row is None:
            return Compared(entry.path, Symbol.MISSING, self._why_not_home(entry, moment))
        if not entry.stat.same_outside(row.stat):
            return Compared(entry.path, Symbol.DIFFERS, "changed")
        if wrong:
            return Compared(entry.path, Symbol.DIFFERS if wrong == "home_differs" else Symbol.MISSING, wrong)
        return Compared(entry.path, Symbol.SAME, "incomplete" if row.incomplete else "")

    def _why_not_home(self, entry: Entry, moment: settle.Moment) -> str:
        doors = self._doors
        if not doors.selector.selects(entry.path):
            return "excluded"
        if doors.selector.is_too_large(entry):
            return "too_large"
        wait_s = settle.wait_s(entry.stat, None, moment, doors.target.settle, doors.target.selection.min_age_s)
        return "waiting" if wait_s > 0 else "not_home"


async def verdict(doors: Doors, *, rehash: bool = False) -> Verdict:
    """Whether everything of the source is safe at home. Raises ForgedError when that cannot be known."""
    comparison, answer = Comparison(doors, rehash=rehash, ingests=True), Verdict()
    async for one in comparison.rows():
        answer.add(one)
    summary = comparison.scan.summary
    answer.complete, answer.files, answer.size_bytes = summary.complete, summary.files, summary.size_bytes
    return answer
