"""A change: one difference between listing and manifest. A plan: all differences of one scan, in numbers."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field

from msgspec import Struct

from forged.model.files import Entry
from forged.model.manifest import ManifestRow


class ChangeKind(enum.Enum):
    """What the difference means. Files that are as remembered are no change and never appear."""

    NEW = "new"  # never brought home
    MODIFIED = "modified"  # another size: other content for sure
    DOUBTFUL = "doubtful"  # same size, but mtime, inode or ctime moved: the hash at the source decides
    BACK = "back"  # had vanished, is there again as remembered: nothing to move
    GONE = "gone"  # remembered as present, not in a complete listing


class Change(Struct, frozen=True, gc=False):
    """One difference. `entry` is None for GONE only, `row` for NEW only."""

    kind: ChangeKind
    entry: Entry | None
    row: ManifestRow | None


@dataclass(slots=True)
class PlanCount:
    """The plan in numbers, counted while it streams by; rules.safety judges it before anything is forgotten."""

    changes: Counter[ChangeKind] = field(default_factory=Counter)
    listed: int = 0
    remembered: int = 0
    """Rows that said 'present at the source' before this scan."""

    def add(self, change: Change) -> None:
        self.changes[change.kind] += 1
