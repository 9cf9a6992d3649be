"""A source around another one that it chose: whatever it does not do itself, the one inside does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from types import TracebackType

from forged.model.errors import SourceLost
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import Removable, Removed
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.base import Capabilities, Hashed, Notices, Source


class Coat:
    """Subclasses open a source and put it inside; all promises are those of `base.Source`."""

    def __init__(self) -> None:
        self.inside: Source | None = None
        """Open, as long as this is."""

    @property
    def _open(self) -> Source:
        if self.inside is None:
            raise SourceLost("the source is not open")
        return self.inside

    @property
    def capabilities(self) -> Capabilities:
        return self._open.capabilities

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        inside, self.inside = self.inside, None
        if inside is not None:
            await inside.__aexit__(kind, error, trace)

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        async with aclosing(self._open.list(folders, known)) as parts:
            async for part in parts:
                yield part

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        async with aclosing(self._open.fetch(batch, sink)) as answers:
            async for answer in answers:
                yield answer

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        async with aclosing(self._open.hash(entries)) as answers:
            async for answer in answers:
                yield answer

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        return await self._open.look(paths)

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        return await self._open.resolve(folders)

    async def clock_ns(self) -> int:
        return await self._open.clock_ns()

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        async with aclosing(self._open.watch(folders)) as answers:
            async for notices in answers:
                yield notices

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self._open.remove(batch)

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self._open.remove_unguarded(batch)

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        return await self._open.remove_empty_folders(folders)
