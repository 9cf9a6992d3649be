"""Cleanup's nouns. A source removes only what a `Removable` proves, and only `rules.retention` makes one (promise 3)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from forged.model.files import Stat
from forged.model.manifest import ManifestRow
from forged.model.paths import SourcePath


class KeptBecause(enum.Enum):
    """Why a file stays at the source: the fixed words of `forgectl cleanup` and of forged_cleanup_kept_files{reason}."""

    YOUNG = "young"
    PRESERVED = "preserved"
    INCOMPLETE = "incomplete"
    HELD = "held"
    NOT_HOME = "not_home"
    HOME_MISSING = "home_missing"
    HOME_DIFFERS = "home_differs"
    CHANGED = "changed"
    NOT_INGESTED = "not_ingested"
    NEWEST_OF_SERIES = "newest_of_series"
    COMPANION = "companion"
    UNGUARDED = "unguarded"
    BATCH_FULL = "batch_full"
    VANISHED = "vanished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Removable:
    """The proof that a file may be removed at its source. Made only by rules.retention."""

    row: ManifestRow
    expected: Stat
    """What the source must still show at the moment of removal; where only inode or ctime moved, the row's sha256 decides."""


@dataclass(frozen=True, slots=True)
class Removed:
    """The source's answer: `kept` is None when the file is gone by our hand."""

    path: SourcePath
    kept: KeptBecause | None = None
    message: str = ""
