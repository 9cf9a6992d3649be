"""A coat around a source whose target names folders: each is found where it really is, and comes home once, under one name.

The source inside follows no link below its root, and goes on doing so. When this one opens, and again before each listing, it asks
where the named folders are (`Source.resolve`), and has `rules.places` decide. As long as all are where their names say, every call
goes straight through. Where one is behind a link, the source inside is opened at the top of the disk (or stays at the root, if
that holds the place), and names are turned into paths and back. When a folder leads elsewhere than before, the connection is
given up: who opens it again gets the new arrangement.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from msgspec import structs

from forged.model.errors import SourceLost, SourceMissing
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.paths import SourcePath, shown
from forged.model.places import Place
from forged.model.removal import Removable, Removed
from forged.model.target import SourceKind, Target
from forged.model.transfer import CloningSink, Fetched, Request, Sink
from forged.rules.places import Arrangement, Asked, arrange, own_path
from forged.rules.renaming import Renaming, renaming
from forged.rules.selection import folder_path
from forged.sources.base import Capabilities, Hashed, Notices, Source
from forged.sources.placed_listing import PlacedListing
from forged.sources.placed_sink import NamedCloningSink, NamedSink

Remembered = Callable[[Sequence[SourcePath]], Awaitable[frozenset[SourcePath]]]
"""Of these folders, those that the manifest knows files below."""


async def _nothing(folders: Sequence[SourcePath]) -> frozenset[SourcePath]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a target asks for. `root` is its source's path."""

    root: bytes
    folders: tuple[Asked, ...]
    confined: bool = False
    """Links may lead only below the root."""
    guessed: bool = False
    """The folders are those of the target's type: that most are not there is normal, unless the manifest knows files below them."""


def wanted_of(target: Target) -> Wanted:
    """The folders of a target, as absolute paths at its source."""
    root, selection = os.fsencode(target.source.path), target.selection
    elsewhere = {folder_path(one.folder): os.fsencode(one.path) for one in selection.elsewhere}
    folders = [folder for folder in dict.fromkeys(map(folder_path, selection.folders)) if folder]
    asked = tuple(Asked(SourcePath(one), elsewhere.get(one, own_path(root, one)), one in elsewhere) for one in folders)
    return Wanted(root, asked, target.source.kind is SourceKind.LOCAL, selection.guessed)


@dataclass(frozen=True, slots=True)
class _Inside:
    """The source inside, open, and how its paths are called."""

    source: Source
    names: Renaming
    stack: AsyncExitStack


class Placed:
    """A Source that keeps the promises of `base.Source`, for the folders that are `wanted`.

    `make` answers a fresh, closed source with this root (an absolute path). Opening raises what that one raises, and SourceMissing
    when neither the root nor any folder elsewhere is there.
    """

    def __init__(self, make: Callable[[bytes], Source], wanted: Wanted, remembered: Remembered = _nothing) -> None:
        self._make, self._wanted, self._ask_remembered = make, wanted, remembered
        self._remembered: frozenset[SourcePath] = frozenset()
        self._whose: dict[bytes, bytes] = {}
        self._in: _Inside | None = None

    @property
    def capabilities(self) -> Capabilities:
        return self._opened().source.capabilities

    def _opened(self) -> _Inside:
        if self._in is None:
            raise SourceLost("the source is not open")
        return self._in

    # --- opening: where everything is ---------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._remembered = await self._ask_remembered([ask.folder for ask in self._wanted.folders])
        async with AsyncExitStack() as stack:
            source, at = await self._first(stack)
            names, _ = await self._arranged(source)
            better = self._wanted.root if names.base == names.root else names.base
            if at != better:
                await stack.aclose()
                source = await stack.enter_async_context(self._make(better))
            self._in = _Inside(source, names, stack.pop_all())
        return self

    async def _first(self, stack: AsyncExitStack) -> tuple[Source, bytes]:
        """Open at the root, or at the top of the disk where the root is missing and something elsewhere may be there."""
        root = self._wanted.root
        try:
            return await stack.enter_async_context(self._make(root)), root
        except SourceMissing:
            if not any(ask.elsewhere for ask in self._wanted.folders):
                raise
            return await stack.enter_async_context(self._make(b"/")), b"/"

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        inside, self._in = self._in, None
        if inside is not None:
            await inside.stack.aclose()

    async def _arranged(self, source: Source) -> tuple[Renaming, Arrangement]:
        """Where the folders are now. Raises SourceMissing when the root is gone and nothing else is there."""
        wanted = self._wanted
        root, *found = await source.resolve([wanted.root, *(ask.path for ask in wanted.folders)])
        if isinstance(root, Problem) and not any(isinstance(place, Place) for place in found):
            raise SourceMissing(f"{shown(wanted.root)}: {root.message}")
        at = root.path if isinstance(root, Place) else wanted.root
        arrangement = arrange(at, wanted.folders, found, confined=wanted.confined, remembered=self._remembered)
        return renaming(at, arrangement.mounts), arrangement

    # --- listing and watching -----------------------------------------------------------------------------------------------

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        inside = self._opened()
        arrangement = await self._unmoved(inside)
        self._remembered |= {mount.folder for mount in arrangement.mounts}
        absent = [one.path for one in arrangement.missing]
        listing = PlacedListing(inside.source, inside.names, absent, self._told(arrangement), self._whose)
        async with aclosing(listing.parts(folders, known)) as parts:
            async for part in parts:
                yield part

    async def _unmoved(self, inside: _Inside) -> Arrangement:
        """Where the folders are now. Raises SourceLost when names mean other paths than before, and as `_arranged` does."""
        names, arrangement = await self._arranged(inside.source)
        if names != inside.names:
            raise SourceLost("a folder leads elsewhere than before", hint="forged connects again by itself and follows")
        return arrangement

    def _told(self, arrangement: Arrangement) -> Sequence[Problem]:
        """Folders that a type guesses at and that were never there are no news, as long as there are others."""
        missing = arrangement.missing
        if self._wanted.guessed and arrangement.mounts:
            missing = tuple(one for one in missing if one.path in self._remembered)
        return (*missing, *arrangement.problems)

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        inside = self._opened()
        names = inside.names
        async with aclosing(inside.source.watch(self._watched(folders, names))) as answers:
            async for notices in answers:
                if notices.gone or notices.overflow:
                    await self._unmoved(inside)
                yield notices if names.plain else _named_notices(notices, names)

    def _watched(self, folders: Sequence[SourcePath], names: Renaming) -> Sequence[SourcePath]:
        """The folders' own paths, and those of what is linked below them; not those that nothing elsewhere has led to."""
        if names.plain:
            return folders
        tops: Sequence[bytes] = folders or [b""]
        linked = [mount.folder for mount in names.linked]
        absent = {ask.folder for ask in self._wanted.folders if ask.elsewhere}.difference(linked)
        below = [name for name in linked if any(not top or name.startswith(top + b"/") for top in tops)]
        paths = {names.path(name) for name in (*tops, *below) if name not in absent}
        return [] if b"" in paths else sorted(paths) or [names.path(top) for top in tops]

    # --- bytes and single files ---------------------------------------------------------------------------------------------

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        inside = self._opened()
        if inside.names.plain:
            answers = inside.source.fetch(batch, sink)
        else:
            answers = _named_fetch(inside.source, inside.names, batch, sink)
        async with aclosing(answers) as each:
            async for answer in each:
                yield answer

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        inside = self._opened()
        asked = {inside.names.path(entry.path): entry for entry in entries}
        there = [Entry(path, entry.stat) for path, entry in asked.items()]
        async with aclosing(inside.source.hash(there)) as answers:
            async for answer in answers:
                if isinstance(answer, Problem):
                    yield Problem(asked[SourcePath(answer.path)].path, answer.kind, answer.message)
                else:
                    yield replace(answer, entry=asked[answer.entry.path])

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        inside = self._opened()
        looks = await inside.source.look([inside.names.path(path) for path in paths])
        return [
            Problem(path, look.kind, look.message) if isinstance(look, Problem) else look
            for path, look in zip(paths, looks, strict=True)
        ]

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        return await self._opened().source.resolve(folders)

    async def clock_ns(self) -> int:
        return await self._opened().source.clock_ns()

    # --- removal ------------------------------------------------------------------------------------------------------------

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        inside = self._opened()
        return _named_removed(batch, await inside.source.remove(_at_source(batch, inside.names)))

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        inside = self._opened()
        return _named_removed(batch, await inside.source.remove_unguarded(_at_source(batch, inside.names)))

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        """Never a folder that was asked for, nor one that leads to it by its name."""
        inside = self._opened()
        asked = {inside.names.path(folder): folder for folder in folders}
        gone = await inside.source.remove_empty_folders(list(asked))
        return [asked[path] for path in gone]


async def _named_fetch(
    source: Source, names: Renaming, batch: Sequence[Request], sink: Sink
) -> AsyncGenerator[Fetched | Problem, None]:
    asked = {names.path(request.entry.path): request for request in batch}
    there = [structs.replace(request, entry=Entry(path, request.entry.stat)) for path, request in asked.items()]
    named = NamedCloningSink(sink, asked) if isinstance(sink, CloningSink) else NamedSink(sink, asked)
    async with aclosing(source.fetch(there, named)) as answers:
        async for answer in answers:
            if isinstance(answer, Problem):
                yield Problem(asked[SourcePath(answer.path)].entry.path, answer.kind, answer.message)
            else:
                yield structs.replace(answer, request=asked[answer.request.entry.path])


def _at_source(batch: Sequence[Removable], names: Renaming) -> Sequence[Removable]:
    """The same proofs, of the same files, by the paths that the source inside knows."""
    return [replace(one, row=structs.replace(one.row, path=names.path(one.row.path))) for one in batch]


def _named_removed(batch: Sequence[Removable], answers: Sequence[Removed]) -> Sequence[Removed]:
    return [replace(answer, path=one.row.path) for one, answer in zip(batch, answers, strict=True)]


def _named_notices(notices: Notices, names: Renaming) -> Notices:
    return replace(
        notices,
        entries=tuple(_named_entries(notices.entries, names)),
        found=tuple(_named_entries(notices.found, names)),
        gone=tuple(SourcePath(name) for name in map(names.name, notices.gone) if name),
    )


def _named_entries(entries: Iterable[Entry], names: Renaming) -> Iterable[Entry]:
    """Without what has no name: it is in no folder of the target."""
    named = ((names.name(entry.path), entry) for entry in entries)
    return (Entry(SourcePath(name), entry.stat) for name, entry in named if name)
