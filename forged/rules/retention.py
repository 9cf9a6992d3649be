"""May a file be removed at its source? Promise 3, question by question. Only `judge` makes a Removable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from forged.model.files import Problem, ProblemKind, Stat
from forged.model.manifest import AtSource, ManifestRow
from forged.model.paths import SourcePath
from forged.model.removal import KeptBecause, Removable


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What one cleanup run knows before it looks at single files."""

    age_s: float
    source_now_ns: int
    """By the source's clock: it judges mtimes, which are its own."""
    home_now_ns: int
    """By our clock: it judges the time of landing. A clock that is off by a day on either side cannot make both look old."""
    preserved: Callable[[SourcePath], bool]
    newest_of_series: Callable[[SourcePath], bool]
    held: bool = False


@dataclass(frozen=True, slots=True)
class AtHome:
    """The copy at home, as it is now. `sha256` only where `rehash` asked for it."""

    size_bytes: int
    sha256: bytes | None = None


def first_doubt(row: ManifestRow, circumstances: Circumstances) -> KeptBecause | None:
    """Why this row stays, as far as can be told without looking at either end; None = look."""
    if circumstances.held:
        return KeptBecause.HELD
    if row.at_source is not AtSource.PRESENT:
        return KeptBecause.VANISHED
    if row.incomplete:
        return KeptBecause.INCOMPLETE
    if circumstances.preserved(row.path):
        return KeptBecause.PRESERVED
    if _young(row, circumstances):
        return KeptBecause.YOUNG
    if circumstances.newest_of_series(row.path):
        return KeptBecause.NEWEST_OF_SERIES
    return None


def _young(row: ManifestRow, circumstances: Circumstances) -> bool:
    age_ns = circumstances.age_s * 1e9
    return circumstances.source_now_ns - row.stat.mtime_ns < age_ns or circumstances.home_now_ns - row.landed_at_ns < age_ns


def is_to_come(source: Stat | Problem, row: ManifestRow | None) -> bool:
    """Whether a wanted file that belongs to another one is at the source, and not home as it is there.

    One that cannot be looked at may be.
    """
    if isinstance(source, Problem):
        return source.kind is ProblemKind.UNREADABLE
    return row is None or not source.same_outside(row.stat)


def judge(
    row: ManifestRow, source: Stat | Problem, home: AtHome | None, *, companion_to_come: bool = False
) -> Removable | KeptBecause:
    """The second half, for rows without a first doubt: what both ends look like at this moment.

    `companion_to_come`: a file that belongs to this one is not home, and would come without what it belongs to.
    """
    if isinstance(source, Problem):
        return KeptBecause.VANISHED if source.kind is ProblemKind.VANISHED else KeptBecause.CHANGED
    if not source.same_outside(row.stat):
        return KeptBecause.CHANGED
    if companion_to_come:
        return KeptBecause.COMPANION
    if home is None:
        return KeptBecause.HOME_MISSING
    if home.size_bytes != row.stat.size_bytes or home.sha256 not in (None, row.sha256):
        return KeptBecause.HOME_DIFFERS
    return Removable(row, expected=row.stat)
