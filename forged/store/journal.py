"""The journal of a manifest: which paths were written to lately. A coat around the rows of any body, so that none can forget it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from forged.model.events import NewEvent
from forged.model.files import Stat
from forged.model.manifest import AtSource, ManifestName, ManifestRow
from forged.model.paths import SourcePath
from forged.store.base import Rows, Written

MOST_PATHS = 8_192
"""Paths kept for one manifest: what a busy box makes between two looks, and 1 MB. After more, a look at everything costs less
than a second for 100,000 files."""


@dataclass(slots=True)
class _Pages:
    """Of one manifest: the paths written since `begin`. The mark of each is its number; 0 comes before all of them."""

    begin: int = 1
    paths: list[SourcePath] = field(default_factory=list)

    def add(self, paths: Sequence[SourcePath] | None) -> None:
        if paths is not None and len(self.paths) + len(paths) <= MOST_PATHS:
            self.paths += paths
        else:
            self.begin += len(self.paths) + 1  # beyond all marks that were given
            self.paths = []

    def since(self, mark: int) -> Written:
        end = self.begin + len(self.paths)
        if not self.begin <= mark <= end:
            return Written(end, None)
        del self.paths[: mark - self.begin]
        self.begin = mark
        return Written(end, tuple(self.paths))


class Journaled:
    """Rows as they are, and told of by a journal: see `base.Manifest`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._pages: defaultdict[ManifestName, _Pages] = defaultdict(_Pages)
        self.between, self.outlines, self.current = rows.between, rows.outlines, rows.current
        self.count, self.history, self.homes = rows.count, rows.history, rows.homes

    def written(self, name: ManifestName, since: int) -> Written:
        return self._pages[name].since(since)

    def broken(self) -> None:
        """Somebody else may have written: what was, nobody can tell any more."""
        for pages in self._pages.values():
            pages.add(None)

    @contextmanager
    def _writing(self, name: ManifestName, paths: Sequence[SourcePath] | None) -> Iterator[None]:
        """Afterwards, since who asks while it is still written sees the rows before. Also when it failed: it may have come far."""
        try:
            yield
        finally:
            self._pages[name].add(paths)

    async def record(
        self,
        name: ManifestName,
        rows: Sequence[ManifestRow],
        events: Sequence[NewEvent] = (),
        to_examine: Collection[SourcePath] = frozenset(),
    ) -> None:
        with self._writing(name, [row.path for row in rows]):
            await self._rows.record(name, rows, events, to_examine)

    async def restat(self, name: ManifestName, seen: Sequence[tuple[SourcePath, Stat]]) -> None:
        with self._writing(name, [path for path, _ in seen]):
            await self._rows.restat(name, seen)

    async def mark(
        self, name: ManifestName, paths: Sequence[SourcePath], at_source: AtSource, events: Sequence[NewEvent] = ()
    ) -> None:
        with self._writing(name, paths):
            await self._rows.mark(name, paths, at_source, events)

    async def entomb(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> None:
        with self._writing(name, paths):
            await self._rows.entomb(name, paths, at_ns)

    async def forget(self, name: ManifestName, paths: Sequence[SourcePath] | None = None) -> int:
        with self._writing(name, paths):
            return await self._rows.forget(name, paths)
