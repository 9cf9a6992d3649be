"""What a source shows, as stretches of paths, in order and counted. What could not be looked at is kept, within bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from forged.model.errors import SourceBroken, SourceEndless
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart, ScanSummary
from forged.model.observer import FileTrouble
from forged.model.paths import SourcePath
from forged.sync.doors import Doors
from forged.sync.known import Known, KnownPart

MOST_PROBLEMS = 10_000
"""Problems of a listing kept by path: enough for a person, and little enough for a hostile box that has millions."""

MOST_TROUBLED = 1_000_000
"""Problems of one listing altogether. Each costs more than a file does, and nobody has so many."""

MOST_FILES = 25_000_000
"""Files of one listing: as large a tree as its digests can be told of (`agent.wire`), and an hour's work. Without a
bound a box that invents names could keep its round, and who waits for it, for ever."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A range of paths (after `after`, up to `upto`; None = no bound), and all that the source shows in it."""

    after: SourcePath | None
    upto: SourcePath | None
    entries: tuple[Entry, ...] = ()
    size_bytes: int = 0
    digest: bytes | None = None
    """Of the part that this is, where it has one."""


class Listing:
    """One listing of a source. With `known`, parts that are known are left out by a source that can."""

    def __init__(self, doors: Doors, folders: Sequence[SourcePath], known: Known | None = None) -> None:
        self._doors = doors
        self._folders = folders
        self._known = known
        self._complete = False
        self._unknown: set[bytes] = set()
        self._size_bytes = 0
        self._last: SourcePath | None = None
        self._troubled = 0
        self.files = 0
        self.problems: list[Problem] = []
        """What could not be looked at, the first `MOST_PROBLEMS` of them."""

    @property
    def summary(self) -> ScanSummary:
        return ScanSummary(self._complete, self.files, self._size_bytes, frozenset(self._unknown))

    async def stretches(self) -> AsyncGenerator[Stretch | KnownPart, None]:
        """All paths from the first to the last, without a hole: what the source shows, and parts that are known to be the same.

        Raises SourceError when the listing breaks, or is not what an honest source says; SourceEndless beyond MOST_FILES or
        MOST_TROUBLED.
        """
        doors, known = self._doors, self._known
        digests = frozenset[bytes]() if known is None else await known.begin(doors.store.manifest, doors.target, self._folders)
        async with aclosing(doors.source.list(self._folders, digests)) as parts:
            async for part in parts:
                for stretch in self._taken(part):
                    yield stretch
                self._check_end()
                if self._complete:
                    break
        if known is not None:
            known.end(self._complete)

    def _check_end(self) -> None:
        if self.files > MOST_FILES:
            raise SourceEndless(f"the source lists more than {MOST_FILES:,} files")
        if self._troubled > MOST_TROUBLED:
            raise SourceEndless(f"the source lists more than {MOST_TROUBLED:,} files that cannot be looked at")

    def _taken(self, part: ListingPart | SamePart | ListingEnd) -> Iterator[Stretch | KnownPart]:
        match part:
            case ListingPart():
                yield from self._shown(part)
            case SamePart(digest):
                yield from self._same(digest)
            case ListingEnd(entries=entries):
                if entries != self.files:
                    raise SourceBroken(f"the source listed {self.files} files and says that it were {entries}")
                self._complete = True
                yield Stretch(self._last, None)  # whatever is remembered behind the last entry

    def _shown(self, part: ListingPart) -> Iterator[Stretch]:
        for problem in part.problems:
            self._note(problem)
        if not part.entries:
            return
        size_bytes = sum(entry.stat.size_bytes for entry in part.entries)
        after = self._go(part.entries[0].path, part.entries[-1].path, len(part.entries), size_bytes)
        digest = None if part.problems else part.digest
        yield Stretch(after, self._last, part.entries, size_bytes, digest)

    def _same(self, digest: bytes) -> Iterator[Stretch | KnownPart]:
        """Where less is listed before the part than there was, that gap has to be compared; behind it nothing has changed."""
        if self._known is None:
            raise SourceBroken("the source left out a part of the listing, though nobody knows it")
        part = self._known.same(digest)
        after = self._go(part.first, part.last, part.entries, part.size_bytes)
        if part.after is not None and (after or b"") < part.after:
            yield Stretch(after, part.after)
        yield part

    def _go(self, first: SourcePath, last: SourcePath, files: int, size_bytes: int) -> SourcePath | None:
        """Goes on to the next part; answers where the one before ended."""
        after, self._last = self._last, last
        if after is not None and first <= after:
            raise SourceBroken("the source sent its listing out of order")
        self.files += files
        self._size_bytes += size_bytes
        return after

    def _note(self, problem: Problem) -> None:
        self._troubled += 1
        if problem.kind is not ProblemKind.LINK:
            self._doubt(problem.path)
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        self._doors.observer.notice(FileTrouble(self._doors.target.name, problem))

    def _doubt(self, path: bytes) -> None:
        """Nothing is concluded from what is missing there; and from nothing at all, when there are too many such places to keep."""
        self._unknown.add(path)
        if len(self._unknown) > MOST_PROBLEMS:
            self._unknown = {b""}
