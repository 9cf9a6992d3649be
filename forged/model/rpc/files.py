"""`cleanup.run` and `manifest.*`: files by name."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from forged.model.rpc.basic import Path, PathWhy


class RemovedFile(Path):
    """A file that went; with `dry_run`, would go."""

    size: int


class KeptFile(PathWhy):
    """A file that stays; `why` is a word of forged.model.removal.KeptBecause. `message` where the source said more."""

    message: NotRequired[str]


class Cleanup(TypedDict):
    """`cleanup.run`. `files_deleted` and `space_freed_bytes` are what a dry run would do. `kept_counts` counts all kept, by why.

    The lists name as many as one answer holds, first what somebody should look at; `removed_unnamed` and `kept_unnamed` are more.
    """

    success: bool
    dry_run: bool
    files_deleted: int
    space_freed_bytes: int
    removed: list[RemovedFile]
    removed_unnamed: int
    kept: list[KeptFile]
    kept_unnamed: int
    kept_counts: dict[str, int]
    errors: list[str]


class ManifestFile(Path):
    """What is remembered of a file's current version. `home` is relative to the destination; `state`: where the source's copy is.

    `tombstone_at`: since when it is known that the owner deleted it at home.
    """

    home: str
    home_b64: NotRequired[str]
    size: int
    mtime: str
    sha256: str
    landed_at: str
    state: Literal["present", "gone", "removed"]
    incomplete: bool
    tombstone_at: str | None


class ManifestPage(TypedDict):
    """`manifest.list`, ascending by path. The totals are of the whole manifest."""

    success: bool
    files: list[ManifestFile]
    total_files: int
    total_bytes: int
    next_cursor: str | None


class PlannedFile(Path):
    """A file that a sync would look into now; `change` is a word of forged.model.plan.ChangeKind."""

    size: int
    change: str


class Changes(TypedDict):
    """`manifest.changes`: the plan that a sync would carry out now. `listed_files`: all that the source has."""

    success: bool
    changes: list[PlannedFile]
    listed_files: int
    total_files: int
    total_bytes: int
    waiting: int
    vanished: int
    next_cursor: str | None


class Forgotten(TypedDict):
    """`manifest.forget` (a path names a file or a folder with all that is below it) and `manifest.reset`. `files`: how many.

    `success` is False where nothing of these names was remembered.
    """

    success: bool
    message: str
    files: int
