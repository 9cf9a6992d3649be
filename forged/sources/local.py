"""LocalSource: a folder of this machine as a source, read in this process."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from forged.model.errors import NotSupported, SourceLost
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart, Stat
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import KeptBecause, Removable, Removed
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent.program.line import CHANGED, Trouble
from forged.sources.base import Capabilities, Hashed, Notices
from forged.sources.local_fetch import LocalFetch
from forged.sources.local_threads import Threads
from forged.sources.local_tree import LocalTree, Reading, problem_of
from forged.sources.local_walk import walk
from forged.sources.local_watch import Sight, best_sight, watch

LOOKS_PER_HOP = 256
"""Looks in one visit of a thread: the hop's cost vanishes, and others soon get their turn."""

KEPT = {ProblemKind.CHANGED: KeptBecause.CHANGED, ProblemKind.VANISHED: KeptBecause.VANISHED}
"""Why a file was kept, where its trouble has a word of its own."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What an open source has."""

    tree: LocalTree
    threads: Threads
    sight: Sight


class LocalSource:
    """A folder of this machine. Keeps the promises of `base.Source`, with the agent's own code for walking and removing.

    `root` is the folder. `homes` are the destinations (all that forged writes to, at least this target's): where one lies below
    the root, it is passed over; where the root lies in one, opening raises SourceError. `sight`: who watches; None = the best.
    """

    def __init__(self, root: Path | bytes, homes: Sequence[Path] = (), sight: Sight | None = None) -> None:
        self._root = bytes(root)
        self._homes = tuple(bytes(home) for home in homes)
        self._sight = sight
        self._inside: Inside | None = None

    async def __aenter__(self) -> Self:
        """Raises SourceMissing, SourceError."""
        threads = Threads("local")
        try:
            self._inside = await threads.do(self._enter, threads)
        except BaseException:
            await threads.close()
            raise
        return self

    def _enter(self, threads: Threads) -> Inside:
        tree = LocalTree(self._root, self._homes)
        return Inside(tree, threads, self._sight or best_sight(tree.path))

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        inside, self._inside = self._inside, None
        if inside is not None and await inside.threads.close():
            inside.tree.close()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(f"local ({self._opened().sight.eyes.value})", hashing=True, guarded_removal=True, watching=True)

    def _opened(self) -> Inside:
        if self._inside is None:
            raise SourceLost("the source is not open")
        return self._inside

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        inside = self._opened()
        async with aclosing(inside.threads.stream(partial(walk, inside.tree, folders, known))) as parts:
            async for part in parts:
                yield part

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        inside = self._opened()
        async with aclosing(LocalFetch(inside.tree, inside.threads, sink).answers(batch)) as answers:
            async for answer in answers:
                yield answer

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        for entry in entries:
            try:
                yield await self._hash(entry)
            except Trouble as trouble:
                yield problem_of(entry.path, trouble)

    async def _hash(self, entry: Entry) -> Hashed:
        inside = self._opened()
        with closing(await inside.threads.do(Reading, inside.tree, entry.path)) as reading:
            reading.must_be(entry.stat)
            return Hashed(entry, await _hashed(inside.threads, reading), reading.sha256)

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        inside = self._opened()
        looks: list[Stat | Problem] = []
        for start in range(0, len(paths), LOOKS_PER_HOP):
            looks += await inside.threads.do(inside.tree.look_at, paths[start : start + LOOKS_PER_HOP])
        return looks

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        inside = self._opened()
        return await inside.threads.do(inside.tree.places_of, folders)

    async def clock_ns(self) -> int:
        self._opened()
        return time.time_ns()

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        inside = self._opened()
        async with aclosing(
            inside.threads.stream(partial(watch, inside.tree, inside.sight, folders), may_be_silent=True)
        ) as answers:
            async for notices in answers:
                yield notices

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return [await self._remove(removable) for removable in batch]

    async def _remove(self, removable: Removable) -> Removed:
        path = removable.row.path
        try:
            await self._remove_expected(removable)
        except Trouble as trouble:
            problem = problem_of(path, trouble)
            return Removed(path, KEPT.get(problem.kind, KeptBecause.FAILED), problem.message)
        return Removed(path)

    async def _remove_expected(self, removable: Removable) -> None:
        """Where only inode or ctime moved, the sha256 decides. Raises Trouble when it was kept."""
        inside = self._opened()
        with closing(await inside.threads.do(Reading, inside.tree, removable.row.path)) as reading:
            if not reading.is_as(removable.expected):
                if not reading.same_outside(removable.expected):
                    raise Trouble(CHANGED, "it is not what was brought home")
                await _hashed(inside.threads, reading)
                if reading.sha256 != removable.row.sha256:
                    raise Trouble(CHANGED, "it is not what was brought home")
            await inside.threads.do(reading.remove)

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        raise NotSupported("a local folder is removed from under guard")

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        inside = self._opened()
        deepest_first = sorted(set(folders), key=lambda folder: folder.count(b"/"), reverse=True)
        return [folder for folder in deepest_first if await inside.threads.do(inside.tree.remove_if_empty, folder)]


async def _hashed(threads: Threads, reading: Reading) -> Stat:
    """Hashes the whole file, hop by hop; the look after the last byte. Raises Trouble when it is not the one before the first."""
    while not await threads.do(reading.digest_to, reading.before.size_bytes):
        pass
    after = await threads.do(reading.after)
    if after != reading.before:
        raise Trouble(CHANGED, "it changed while it was hashed")
    return after
