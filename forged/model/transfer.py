"""The chain of proofs of one file: Request -> Fetched (with Staged) -> Receipt -> Landed. And the Sink between two rooms."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from forged.model.files import Entry, Stat
from forged.model.paths import HomePath


class Wholeness(enum.Enum):
    """What the container format says about the end of the file."""

    WHOLE = "whole"
    BROKEN = "broken"
    UNKNOWN = "unknown"  # the format does not tell, or is not one we know


class Request(Struct, frozen=True, gc=False):
    """One file to bring. Bytes below `offset_bytes` are already staged from an earlier, broken transfer."""

    entry: Entry
    staging: str
    """Names the staged file: the same entry always gets the same name, so that a broken transfer finds its beginning again."""
    offset_bytes: int = 0
    hash_at_source: bool = True


class Piece(Struct, frozen=True, gc=False):
    """Consecutive bytes of one request, in the chunks they came in. `last`: the file ends where they end (there may be none).

    Pieces of one attempt carry one Request object; an equal one that is another object begins another attempt.
    """

    request: Request
    offset_bytes: int
    data: tuple[bytes, ...]
    last: bool = False

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.data))


class Staged(Struct, frozen=True, gc=False):
    """What lies in the staging area, whole as far as our side is concerned. The hash is over all bytes, resumed ones included."""

    staging: str
    size_bytes: int
    sha256: bytes
    wholeness: Wholeness


class Sink(Protocol):
    """Where a source pours bytes. Provided by a destination; the only flow control between the two.

    Promises to the source: `reserve` returns when that many more bytes may be asked for; it is fair between targets and keeps
    the bandwidth limits. `write` returns when the bytes are on their way to disk and gives their reservation back, also when it
    raises; a slow disk makes `write` and then `reserve` slow, and nothing else. Pieces of one request may come in any order,
    never overlapping.
    Promises asked of the source: it never has more bytes outstanding than it has reserved; what it reserved and will not
    write, it gives back with `refund`; it does not touch the data of a piece again. Every way out of a fetch, also an
    exception, leaves reservations even.
    """

    @property
    def portion_bytes(self) -> int:
        """What to reserve at once at most, for as long as one has the choice; it changes with the limits.

        More is granted all the same, but in a lump: over ten seconds a limit then holds only to within that lump.
        """

    async def reserve(self, size_bytes: int) -> None:
        """Waits until `size_bytes` more may be asked for. Raises DestinationError when the disk is in trouble."""

    def refund(self, size_bytes: int) -> None:
        """Gives back a reservation whose bytes will not come."""

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        """Takes pieces, in one go for all of them; answers the files that they made whole, each once. Raises DestinationError.

        A file is whole when its last piece and all before it have come, whichever comes latest.
        """


@runtime_checkable
class CloningSink(Sink, Protocol):
    """A sink that can also take a whole file of this machine, without its bytes passing through us."""

    async def clone(self, request: Request, fd: int) -> Staged | None:
        """Stages what `fd` (open for reading) holds, `entry.stat.size_bytes` of it, by the file system's own means.

        Nothing needs to be reserved. None where that cannot be done, or the file is shorter by now: then nothing is staged, and
        pieces may be written as ever. The hash is over the staged bytes, read back. `fd` stays open, and is not used any more
        when this returns or raises. Only for a request without an offset. Raises DestinationError.
        """


class Fetched(Struct, frozen=True, gc=False):
    """The source's side of one brought file: how it looked when opened and after its last byte was read, and its own hash."""

    request: Request
    before: Stat
    after: Stat
    source_sha256: bytes | None
    staged: Staged


class Receipt(Struct, frozen=True, gc=False):
    """The proof that a file's bytes arrived: size, sha256, where they are staged. Made only by `rules.proof.receipt`."""

    entry: Entry
    staged: Staged
    incomplete: bool = False
    """Unfinished by its format, yet unchanged for settle_max: comes home marked, and is never cleaned by itself."""


class LandedAs(enum.Enum):
    """What happened at home under the final name."""

    NEW = "new"
    ADOPTED = "adopted"  # equal content was already there: nothing moved
    VERSION = "version"  # another content has that name: landed beside it
    REPLACED = "replaced"  # a `mutable` file, replaced whole


class Landed(Struct, frozen=True, gc=False):
    """A file under its final name: whole, verified, durable. The proof that the store remembers."""

    entry: Entry
    home: HomePath
    sha256: bytes
    how: LandedAs
    incomplete: bool = False

    @property
    def moved_bytes(self) -> int:
        """What had to come from the source for it."""
        return 0 if self.how is LandedAs.ADOPTED else self.entry.stat.size_bytes
