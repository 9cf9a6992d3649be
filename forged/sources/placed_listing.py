"""The listing of a source whose folders are in several places: as if all were below one root, in ascending order of whole names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing

from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart
from forged.model.paths import MAX_PATH_BYTES, SourcePath
from forged.rules.renaming import Renaming
from forged.sources.base import Source


class PlacedListing:
    """One listing. `absent` are folders where nothing is, `problems` what is told of these and of others that are left out.

    `whose` remembers from listing to listing which folder a part's digest came from, so that each is asked about its own only.
    """

    def __init__(
        self,
        source: Source,
        names: Renaming,
        absent: Sequence[bytes],
        problems: Sequence[Problem],
        whose: dict[bytes, bytes],
    ) -> None:
        self._source, self._names, self._whose = source, names, whose
        self._absent, self._problems = absent, problems
        self._entries = 0
        self._began_ns: int | None = None

    async def parts(
        self, folders: Sequence[SourcePath], known: Collection[bytes]
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        """As `Source.list` promises."""
        for digest in self._whose.keys() - set(known):
            del self._whose[digest]
        tops, problems = self._sorted_out(folders)
        if problems:
            yield ListingPart((), tuple(problems))
        if self._names.plain and tops:
            async with aclosing(self._source.list([SourcePath(top) for top in tops if top], known)) as parts:
                async for part in parts:
                    yield part
            return
        for top in tops:
            async with aclosing(self._below(top, known)) as parts_of_one:
                async for each in parts_of_one:
                    yield each
        began_ns = await self._source.clock_ns() if self._began_ns is None else self._began_ns
        yield ListingEnd(self._entries, began_ns)

    def _sorted_out(self, folders: Sequence[SourcePath]) -> tuple[list[bytes], list[Problem]]:
        """What is to be listed (b"" = everything), none below another, in the order of the files; and what is told of the others.

        Who asks for everything sees for himself what is missing and what is a link; he is told of what was refused.
        """
        if not folders:
            return [b""], [problem for problem in self._problems if problem.kind is ProblemKind.UNREADABLE]
        tops: list[bytes] = []
        told: list[Problem] = []
        for folder in sorted(set(folders), key=lambda folder: folder + b"/"):
            problem = next((one for one in self._problems if _is_in(folder, one.path)), None)
            if problem is not None:
                told.append(Problem(folder, problem.kind, problem.message))
            elif not any(_is_in(folder, one) for one in self._absent) and not (tops and _is_in(folder, tops[-1])):
                tops.append(folder)
        return tops, told

    async def _below(self, top: bytes, known: Collection[bytes]) -> AsyncGenerator[ListingPart | SamePart, None]:
        """One folder, and where their names belong, the linked ones below it. Parts that those may divide have no digest."""
        linked = sorted((one.folder for one in self._names.linked if one.folder != top and _is_in(one.folder, top)), key=_order)
        waiting = [name for name in linked if not any(name != other and _is_in(name, other) for other in linked)]
        async with aclosing(self._own(top, () if linked else known)) as parts:
            async for part in parts:
                if isinstance(part, SamePart):
                    yield part
                    continue
                part = _undivided(part, linked) if linked else part
                while waiting and part.entries and part.entries[-1].path > _order(waiting[0]):
                    cut = bisect_left(part.entries, _order(waiting[0]), key=lambda entry: entry.path)
                    if cut or part.problems:
                        yield ListingPart(part.entries[:cut], part.problems)
                    async with aclosing(self._below(waiting.pop(0), known)) as inserted:
                        async for each in inserted:
                            yield each
                    part = ListingPart(part.entries[cut:])
                if part.entries or part.problems:
                    yield part
        for name in waiting:
            async with aclosing(self._below(name, known)) as rest:
                async for each in rest:
                    yield each

    async def _own(self, top: bytes, known: Collection[bytes]) -> AsyncGenerator[ListingPart | SamePart, None]:
        """One folder of the source inside, under its name."""
        path = self._names.path(top)
        mine = [digest for digest in known if self._whose.get(digest) == top]
        async with aclosing(self._source.list([path] if path else (), mine)) as parts:
            async for part in parts:
                match part:
                    case ListingPart():
                        if part.digest is not None:
                            self._whose[part.digest] = top
                        yield self._named(part, path, top)
                    case SamePart():
                        yield part
                    case ListingEnd(entries=entries, clock_ns=clock_ns):
                        self._entries += entries
                        self._began_ns = clock_ns if self._began_ns is None else self._began_ns

    def _named(self, part: ListingPart, path: bytes, top: bytes) -> ListingPart:
        """The same part by its names. A name that becomes too long is told as a problem."""
        entries = [Entry(SourcePath(_renamed(entry.path, path, top)), entry.stat) for entry in part.entries]
        problems = [Problem(_renamed(one.path, path, top), one.kind, one.message) for one in part.problems]
        usable = tuple(entry for entry in entries if len(entry.path) <= MAX_PATH_BYTES)
        if len(usable) == len(entries):
            return ListingPart(usable, tuple(problems), part.digest)
        self._entries -= len(entries) - len(usable)
        too_long = [entry.path for entry in entries if len(entry.path) > MAX_PATH_BYTES]
        problems += [Problem(path, ProblemKind.BAD_NAME, "its path is too long") for path in too_long]
        return ListingPart(usable, tuple(problems))


def _order(folder: bytes) -> bytes:
    """Where the files of a folder stand among all names."""
    return folder + b"/"


def _is_in(name: bytes, folder: bytes) -> bool:
    """Whether a name is a folder's own, or one below it."""
    return not folder or name == folder or name.startswith(folder + b"/")


def _renamed(path: bytes, old: bytes, new: bytes) -> bytes:
    """A path in the folder `old`, as one in the folder `new` (b"" = a root)."""
    rest = path[len(old) :].removeprefix(b"/")
    return new + b"/" + rest if new and rest else new or rest


def _undivided(part: ListingPart, linked: Sequence[bytes]) -> ListingPart:
    """Without a digest, and without what was said of a link that leads to a folder which is listed."""
    ways = {one.path for one in part.problems if one.kind is ProblemKind.LINK and any(_is_in(name, one.path) for name in linked)}
    return ListingPart(part.entries, tuple(one for one in part.problems if one.path not in ways))
