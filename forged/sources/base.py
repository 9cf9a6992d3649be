"""The contract of a source, as promises. One suite (tests/sources/contract.py) holds every body to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import Removable, Removed
from forged.model.transfer import Fetched, Request, Sink


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this body can do, known once it is open; `status` shows it."""

    transport: str
    """In words for people: `ssh agent (python 3.10)`, `sftp`, ..."""
    hashing: bool
    """`hash` works without moving the bytes."""
    guarded_removal: bool
    """`remove` looks and unlinks so that nothing can slip in between."""
    watching: bool
    unguarded_removal: bool = False
    """`remove_unguarded` works: for sources that have no guard, and whose owner wrote `unguarded = true`."""

    remedy: str = ""
    """What the owner can do about what is missing; empty where nothing."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What it cannot do, in words for people."""
        able = {"hashing": self.hashing, "watching": self.watching, "guarded removal": self.guarded_removal}
        return tuple(what for what, is_so in able.items() if not is_so)


@dataclass(frozen=True, slots=True)
class Hashed:
    """The sha256 of a file's bytes, and how the file looked after the last one."""

    entry: Entry
    after: Stat
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Notices:
    """What a watch noticed since the last answer. A hint, never proof: a listing always has the last word."""

    entries: tuple[Entry, ...] = ()
    """Regular files that were closed after writing, or renamed into place, as they look now."""
    found: tuple[Entry, ...] = ()
    """Regular files that are there, but nobody saw them closed: a new hard link, a folder that was moved in, or filled before
    anyone could look. They may still be written: whoever takes them settles them as if a listing had shown them."""
    gone: tuple[SourcePath, ...] = ()
    """Names that vanished: deleted, or renamed away."""
    overflow: bool = False
    """Something was missed (the kernel's queue ran over, a folder was moved): only a listing knows now."""
    unwatched: int = 0
    """Folders that cannot be watched, because a limit of the box is reached."""

    @property
    def names(self) -> int:
        """How many are told."""
        return len(self.entries) + len(self.found) + len(self.gone)


class Source(Protocol):
    """A place where media is made, seen from its root folder.

    Life: `async with source:` connects (raises SourceError) and ends everything it started, also after an error. One open source
    serves many calls at once. Retrying is not its business: a coat around it does that (`sources.retrying`), so every method
    may be called again after SourceLost.

    Paths are bytes below the root, never outside it: no method follows a symbolic link below the root. (The root itself is
    resolved when the source opens.)

    Deadlines: a source that stays silent for `SILENCE_LIMIT_S` during a call is lost (SourceLost), and so is one that does next to
    nothing for minutes (an hour while it looks through folders, longer while it hashes), so no call hangs for ever.
    Anything that the protocol does not allow ends the connection (SourceBroken).
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do. Only while open."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        """Every regular file below the root (or below `folders`), in ascending byte order of whole paths.

        Parts are bounded (at most 4,096 entries), so a tree of any size streams. The last item is a ListingEnd; a stream that
        ends in an error instead (SourceError) was cut off, and nothing may be concluded from what is missing in it. What cannot
        be looked at (unreadable folders, names forged does not use) comes as problems, links and special files likewise.
        A folder of `folders` that does not exist is an empty one with a problem. The root itself missing raises SourceMissing.

        `known` are digests of parts that an earlier listing of the same folders gave: instead of such a part a source may answer
        SamePart, in the place of that part and at most once for each, and then sends nothing of it. A source that has no digests
        ignores them, and one may make use of some tens of thousands only. Its word is worth what its entries are worth: the counts
        of the end are held against it, but whether the parts ascend can be checked only by him who knows what is in them.
        """

    def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        """Reads the files of `batch` into `sink`; answers each exactly once, in any order, as it is done.

        A file that does not look like its entry when opened answers CHANGED (or VANISHED, UNREADABLE), moves no byte and does not
        disturb the others. Otherwise exactly `entry.stat.size_bytes - offset_bytes` bytes go to the sink, in one or more
        pieces, fewer only where the file shrank meanwhile (then CHANGED). `Fetched.after` is the look after the last byte.
        Where the source can hash and the request asks for it, `source_sha256` covers the whole file, the resumed part too.
        Several fetches may run at once; the later ones' requests queue behind, so that the line never runs dry. Raises
        SourceLost (what was answered stays valid) and whatever the sink raises. Closing the iterator early stops the transfer.
        """

    def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        """The sha256 of files where they are; answers each once, in any order.

        A file that is not as its entry says, or is another after the last byte, answers CHANGED. Raises NotSupported where
        `capabilities.hashing` is False.
        """

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        """How these files look now, in the order asked; VANISHED, UNREADABLE, or LINK for what is no regular file."""

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        """Where these folders really are, in the order asked: the only method that follows links, and it opens nothing.

        The paths are absolute at the source, also outside the root. VANISHED where nothing is (or at the end of a link), LINK for
        what is no folder or a loop of links (OpenSSH's SFTP server tells no loop: VANISHED), UNREADABLE. What it answers held at
        that moment: whoever goes on opens the place's own path, in which a link that was put there meanwhile is not followed.
        """

    async def clock_ns(self) -> int:
        """The source's own time of day now."""

    def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        """What happens below the root (or below `folders`), as it happens, for as long as it is listened to.

        The first answer comes when the watch is in place (and is usually empty): whatever happens after that is noticed, also in
        folders made later and filled before anyone could look. A file may be noticed more than once. Only one watch at a time.
        Raises NotSupported where `capabilities.watching` is False (or a limit of the box forbids it by now), SourceMissing when
        the root is or goes missing, SourceLost when the connection ends.
        """

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        """Removes files that are still as expected, in the order asked.

        Each is renamed aside, compared, then unlinked or renamed back; links are not followed. Raises NotSupported where
        `capabilities.guarded_removal` is False.
        """

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        """Looks at each file once more, and removes those that are as expected, in the order asked.

        A writer that comes between the look and the removal loses his file: for owners who accept that. Raises NotSupported where
        `capabilities.unguarded_removal` is False.
        """

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        """Removes those of `folders` that are empty now, deepest first; answers which. Never the root, never what is not empty.

        Raises NotSupported where nothing can be removed, neither with a guard nor without.
        """


SILENCE_LIMIT_S = 60.0
"""Longer than any honest pause we expect of a cold network volume; a guess that long runs may correct."""

MAX_PART_ENTRIES = 4_096
"""Entries per listing part: about 0.5 MB of Python objects, and big enough that per-part costs vanish."""
