"""The contract of a destination, as promises. It speaks in HomePaths and staging names, so that it need not be a POSIX folder."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from forged.model.files import Problem
from forged.model.paths import HomePath
from forged.model.transfer import Landed, Receipt, Sink


class NoReplace(enum.Enum):
    """How well this destination can refuse to overwrite; shown in `status`."""

    RENAMEAT2 = "renameat2"  # one atomic step
    LINK = "link"  # link, then unlink: atomic too, but a crash leaves a second name in staging
    PLACEHOLDER = "placeholder"  # an exclusive empty file is renamed over: safe against forged, not against others


@dataclass(frozen=True, slots=True)
class Readiness:
    """A destination that can take files now."""

    id: str
    """What its marker says: a random id, the same for as long as the folder lives."""
    free_bytes: int
    no_replace: NoReplace


@dataclass(frozen=True, slots=True)
class Landing:
    """One file to land: its receipt, the name it should get, and the names to take if that one holds other content."""

    receipt: Receipt
    home: HomePath
    versions: tuple[HomePath, ...]
    """`stem~<first 8 of sha256>.ext`, then longer prefixes of the hash; the last one cannot be taken by other content."""
    replaces_sha256: bytes | None = None
    """For `mutable` files: replace what is under `home`, if it is still what forged put there."""


@dataclass(frozen=True, slots=True)
class HomeLook:
    """A regular file at home, as it is now."""

    size_bytes: int
    mtime_ns: int


class Destination(Protocol):
    """One destination folder as one target uses it.

    Every method raises DestinationError when the place as a whole is in trouble (missing, read-only, full, I/O error), and
    answers a Problem when only one file is. All paths stay below the destination: a symbolic link in the way is a Problem.
    """

    async def ready(self, known_id: str | None) -> Readiness:
        """Whether files can land now.

        `known_id` is the marker's id as the store remembers it: None before the first use, when the marker is made. Raises
        DestinationMissing (also: `require_mount` and no mount point), MarkerMissing, DestinationReadOnly, DiskFull (less than
        min_free). Never creates the destination folder itself when `known_id` is set.
        """

    def sink(self) -> Sink:
        """A sink into this destination's staging area. Its staged files are on disk, not yet durable."""

    async def resume_points(self, stagings: Sequence[str]) -> Sequence[int]:
        """How many bytes of each are already staged by an earlier, broken transfer (0 = none)."""

    async def discard(self, stagings: Collection[str]) -> None:
        """Forgets staged files (a verification failed, a file was adopted). Missing ones are fine."""

    async def sweep(self, keep: Collection[str]) -> int:
        """Removes what lies in this target's staging area and is not in `keep`; answers how many. Touches nothing else."""

    async def land(self, batch: Sequence[Landing]) -> Sequence[Landed | Problem]:
        """Gives staged files their final names, in the order asked; each answer is durable when it is given.

        Source mtime and the configured mode are set, the file is fsynced, renamed without overwriting, its folder fsynced.
        Equal content already under a wanted name is adopted and the staged file dropped; other content there makes it try
        the next name. Calling it again for the same receipt (after a crash) ends in the same place.
        """

    async def look(self, homes: Sequence[HomePath]) -> Sequence[HomeLook | None]:
        """What is under these names now; None where no regular file is."""

    async def hash(self, home: HomePath) -> bytes | None:
        """The sha256 of a file at home; None where no regular file is."""

    async def confirm(self, batch: Sequence[HomePath]) -> None:
        """Makes files that were found at home (adopted ones) durable too: fsync of the files and their folders."""
