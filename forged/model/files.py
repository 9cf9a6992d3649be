"""What a source says about its files: stat, entry, problem, and the parts of a listing."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from msgspec import Struct

from forged.model.paths import SourcePath, shown

SECOND_NS = 1_000_000_000


class Stat(Struct, frozen=True, gc=False):
    """A file's outside at one moment, by the source's own clock. `inode` and `ctime_ns` are None where a source has none (SFTP).

    Without an inode it is a coarse look, and its mtime may be in whole seconds, rounded down: then seconds are compared.
    """

    size_bytes: int
    mtime_ns: int
    inode: int | None = None
    ctime_ns: int | None = None

    @property
    def is_coarse(self) -> bool:
        """It does not tell one file from another of equal size and second."""
        return self.inode is None

    def same_outside(self, other: Stat) -> bool:
        """Equal size and mtime, as exactly as both know it: what a copy can keep. Says nothing about inode and ctime."""
        return self.size_bytes == other.size_bytes and (
            self.mtime_ns == other.mtime_ns
            or (None in (self.inode, other.inode) and self.mtime_ns // SECOND_NS == other.mtime_ns // SECOND_NS)
        )

    def same_file(self, other: Stat) -> bool:
        """Nothing moved at all, as far as both know: not even inode or ctime."""
        return self is other or (
            self.same_outside(other)
            and (self.inode == other.inode or None in (self.inode, other.inode))
            and (self.ctime_ns == other.ctime_ns or None in (self.ctime_ns, other.ctime_ns))
        )


Outline = tuple[SourcePath, int, int, int | None, int | None]
"""A path, and the four numbers of its stat in their order: comparing 100,000 of them costs next to nothing, unlike objects."""


class Entry(Struct, frozen=True, gc=False):
    """One regular file of a listing."""

    path: SourcePath
    stat: Stat

    @property
    def outline(self) -> Outline:
        stat = self.stat
        return (self.path, stat.size_bytes, stat.mtime_ns, stat.inode, stat.ctime_ns)


class ProblemKind(enum.Enum):
    """Why one file did not come home (or one folder was not seen) this time."""

    CHANGED = "changed"  # it changed while it was read: the next round takes it
    VANISHED = "vanished"  # listed, then gone: normal on boxes that clean up by themselves
    UNREADABLE = "unreadable"  # permission, I/O error at the source
    BROKEN = "broken"  # unchanged, but its container is cut short: half-written
    MISMATCH = "mismatch"  # both ends hashed different bytes
    BAD_NAME = "bad_name"  # a path forged will not use
    LINK = "link"  # a symbolic link or something else that is no regular file
    HOME = "home"  # the destination refused this one file


HARMLESS = frozenset({ProblemKind.BROKEN, ProblemKind.CHANGED, ProblemKind.VANISHED, ProblemKind.LINK})
"""Files that are simply not ready, or never were files: the round is a success without them, and says so."""


class Problem(Struct, frozen=True, gc=False):
    """Trouble with one path is data: the others go on. `path` is raw bytes, since it may be one forged will not use."""

    path: bytes
    kind: ProblemKind
    message: str

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.message}"


@dataclass(frozen=True, slots=True)
class ListingPart:
    """Some entries of a listing, ascending by path over all parts, and what could not be looked at on the way.

    A problem at a folder means that nothing is known about the paths below it.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    digest: bytes | None = None
    """Names the whole content of this part, where the source can: a part of equal digest has equal entries and no problems."""


@dataclass(frozen=True, slots=True)
class SamePart:
    """In the place of a part whose digest the caller said he knows: at the source everything in it is still so."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class ListingEnd:
    """The last word of a listing that went through. A stream without it was cut off, and then it is ignorance (promise 4)."""

    entries: int
    """How many files the parts had, those of a SamePart included."""
    clock_ns: int
    """The source's clock when the listing began: ages are measured against it, never against ours."""


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What one scan saw, in numbers. `complete` is False when the stream broke; `unknown` are paths that could not be looked at.

    The root (b"") among them means that nothing is known.
    """

    complete: bool
    files: int
    size_bytes: int
    unknown: frozenset[bytes] = frozenset()

    def knows(self, path: SourcePath) -> bool:
        """Whether the absence of `path` from the listing means that it is gone."""
        if not self.unknown:
            return self.complete
        parts = path.split(b"/")
        return self.complete and not any(b"/".join(parts[:depth]) in self.unknown for depth in range(len(parts) + 1))
