"""The contract of a destination, as promises. It speaks in HomePaths and staging names, so that it need not be a POSIX folder."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from forged.kit.durable import NoReplace as NoReplace
from forged.model.files import Problem
from forged.model.paths import HomePath
from forged.model.transfer import Landed, Receipt, Sink, Wholeness
from forged.rules.names import VersionNames


@dataclass(frozen=True, slots=True)
class Readiness:
    """A destination that can take files now."""

    id: str
    """What its marker says: a random id, the same for as long as the folder lives."""
    free_bytes: int
    no_replace: NoReplace


class Landing(Struct, frozen=True, gc=False):
    """One file to land: its receipt, and the name it should get."""

    receipt: Receipt
    home: HomePath
    replaces_sha256: bytes | None = None
    """For `mutable` files: replace what is under `home`, if it is still what forged put there."""
    own_name: HomePath | None = None
    """What it would be called if nothing else were; None: `home`. A log that goes on beside itself has a version of it as `home`,
    and the next version must not have two marks, and then three."""
    replaces_bytes: int = 0
    """How long that was which it may replace. What lies there now, is longer, and is how the new one begins was put there by a
    forged that was killed before it could say so: that is replaced as well, and a log does not go on beside itself."""

    @property
    def versions(self) -> VersionNames:
        """The names to take if that one holds other content: `stem~<first 8 of sha256>.ext`, then longer prefixes of the hash; the
        last one cannot be taken by other content."""
        return VersionNames(self.own_name or self.home, self.receipt.staged.sha256)


class HomeLook(Struct, frozen=True, gc=False):
    """A regular file at home, as it is now."""

    size_bytes: int
    mtime_ns: int


class HomeFile(Struct, frozen=True, gc=False):
    """A regular file at home, open for reading; who asked closes it. It stays the same file, whatever happens to its name."""

    fd: int
    look: HomeLook


class Refused(Struct, frozen=True):
    """It cannot be done with this one file, and why; the next may do well."""

    why: str


class SidecarPut(enum.Enum):
    """How putting a sidecar ended."""

    DONE = "done"
    CHANGED = "changed"  # what lies there is not what was read: read it again, and merge
    GONE = "gone"  # there is no such file that it could be beside of


class LinkMode(enum.Enum):
    """How equal files share their bytes."""

    REFLINK = "reflink"
    HARDLINK = "hardlink"


class Linked(enum.Enum):
    """How sharing ended."""

    DONE = "done"
    ALREADY = "already"  # one file under two names, or nothing to share
    DIFFERS = "differs"  # they are not equal, or not any more
    GONE = "gone"  # one of them is not there
    CANNOT = "cannot"  # the file system cannot do it, or not between these two


class Closed(enum.Enum):
    """The owner has closed a folder to us (permissions): a file in it may be there or not, so nothing is concluded from it."""

    CLOSED = "closed"


class HomeSink(Sink, Protocol):
    """A destination's sink has an end: `async with contextlib.aclosing(destination.sink()) as sink`, one for each fetch."""

    async def aclose(self) -> None:
        """Waits for what is being written and closes unfinished files. They stay, as the beginnings of a later resume."""


class Destination(Protocol):
    """One destination folder as one target uses it.

    Life: `ready` comes first; before it every other method raises DestinationMissing. Each method makes sure again that the
    place is still the one that `ready` saw, so that a disk unmounted in the middle of a round is never mistaken for an empty
    one. `aclose` ends it.

    Every method raises DestinationError when the place as a whole is in trouble (missing, read-only, full, I/O error), and
    answers a Problem when only one file is. All paths stay below the destination: a symbolic link in the way is a Problem.
    """

    async def ready(self, known_id: str | None, *, may_be_new: bool = True) -> Readiness:
        """Whether files can land now.

        `known_id` is the marker's id as the store remembers it: None before the first use, when the marker is made. Raises
        DestinationMissing (also: `require_mount` and no mount point), MarkerMissing, DestinationReadOnly, DiskFull (less than
        min_free). Never creates the destination folder itself when `known_id` is set. Without `may_be_new` it has been used
        before, under an id that was lost: then it has to have a marker already, whichever it is.
        """

    def sink(self) -> HomeSink:
        """A sink into this destination's staging area. Its staged files are on disk, not yet durable.

        A request that is poured again from its `offset_bytes` on (after a broken transfer) starts over there: what was staged
        beyond is dropped, what is below is read back and hashed.
        """

    async def resume_points(self, stagings: Sequence[str]) -> Sequence[int]:
        """How many bytes of each are already staged by an earlier, broken transfer (0 = none).

        Never more than its unbroken beginning, as far as the running system knows. A power cut may leave zeros where bytes were
        on their way to the disk: only a comparison with the source's hash proves a resumed file, so ask for it.
        """

    async def free_space_bytes(self) -> int:
        """Of the file system, as it is now; `ready` came before. Where home is not there any more that is an error, not a number
        of what lies below."""

    async def room_bytes(self) -> int:
        """How many more bytes may come in before less than min_free is left."""

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

    async def look(self, homes: Sequence[HomePath]) -> Sequence[HomeLook | Closed | None]:
        """What is under these names now; None where no regular file is, Closed where we may not look."""

    async def hash(self, home: HomePath) -> bytes | None:
        """The sha256 of a file at home; None where no regular file is, or none that we may read."""

    async def inspect(self, home: HomePath) -> Wholeness:
        """What the format of a file at home says about its end; UNKNOWN where no regular file is, or none that we may read."""

    async def confirm(self, batch: Sequence[HomePath]) -> None:
        """Makes files that were found at home (adopted ones) durable too: fsync of the files and their folders."""

    async def open(self, home: HomePath) -> HomeFile | Closed | None:
        """Opens a file for reading; None and Closed as `look` says."""

    async def sidecar(self, home: HomePath) -> bytes | Refused | None:
        """What is in the sidecar of a file, `<name>.xmp` beside it; None where there is none.

        Refused: it has more than 8 MB, is no regular file, is closed to us, or its name would be too long.
        """

    async def put_sidecar(self, home: HomePath, content: bytes, expects: bytes | None) -> SidecarPut | Refused:
        """Writes the sidecar of a file; durable on return.

        `expects` is the sha256 of what was read there (None: there was none): only that is replaced, in one step, and an edit that
        comes in between is never lost. (Where a file system cannot exchange two names, that is so but for the moment between a look
        and a rename.) Never replaces what is no regular file.
        """

    async def put_thumbnail(self, sha256: bytes, content: bytes) -> None:
        """Keeps the thumbnail of a content, in the place of one before: `.forged/thumbs/<aa>/<bb>/<sha256>_512.webp`."""

    async def thumbnail(self, sha256: bytes) -> bytes | None:
        """The thumbnail of a content; None where there is none."""

    async def link(self, first: HomePath, second: HomePath, sha256: bytes, mode: LinkMode) -> Linked:
        """Lets the second file share the bytes of the first, if both have this content in this very moment.

        With HARDLINK the second name then is one of the first file: it has that one's mtime, mode and owner, and an edit in place
        of one is one of both. (What a program writes through a descriptor that it had open from before goes with the file that was
        there.) With REFLINK both stay files of their own.
        """

    async def aclose(self) -> None:
        """Ends it: waits for what is under way, closes what is open. Nothing may be asked of it afterwards."""
