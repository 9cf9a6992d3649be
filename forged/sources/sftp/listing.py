"""A listing over SFTP: the walk over the tree in ascending byte order of whole paths, as parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from forged.model.errors import SourceMissing
from forged.model.files import Entry, ListingPart, Problem, ProblemKind, Stat
from forged.model.paths import SourcePath, shown
from forged.sources.sftp.lane import SftpLane
from forged.sources.sftp.look import Unfit, problem_of
from forged.sources.sftp.scan import FACTS, Folder, Scans
from forged.sources.sftp.wire import NANO, Refused

PART_ENTRIES = 1_024
"""Entries and problems of a part: what an agent's have, and few enough that others soon get their turn."""


async def resolve_root(lane: SftpLane) -> None:
    """Finds where the root really is. Raises SourceMissing where there is no such folder."""
    root = lane.root
    try:
        real = await lane.realpath(root.configured)
        if not (await lane.stat(real)).is_folder:
            raise SourceMissing(f"{shown(root.configured)}: it is no folder")
    except Refused as error:
        raise SourceMissing(f"{shown(root.configured)}: {error}") from error
    root.resolve(real)


class Walk:
    """One listing below the root, or below `folders` (which ascend and do not contain each other)."""

    def __init__(self, lane: SftpLane, folders: Sequence[SourcePath]) -> None:
        self._lane, self._folders = lane, folders
        self.entries = 0
        """How many files there were so far."""
        self._found: list[Entry] = []
        self._problems: list[Problem] = []

    async def parts(self) -> AsyncGenerator[ListingPart, None]:
        """Raises SourceError: SourceMissing when the root is not there, or not there any more; SourceEndless."""
        scans = Scans(self._lane, self._folders)
        try:
            for top in self._folders or (b"",):
                async for _ in self._below(scans, top):
                    yield self._part()
        finally:
            await scans.close()
        real = self._lane.root.real
        await resolve_root(self._lane)
        if self._lane.root.real != real:
            raise SourceMissing(f"{shown(self._lane.root.configured)}: it leads to another folder now")
        if self._found or self._problems:
            yield self._part()

    async def _below(self, scans: Scans, top: bytes) -> AsyncGenerator[None, None]:
        """Goes down without recursion; stops where a part is full."""
        stack = [(folder := await self._taken(scans, top), iter(folder.items))]
        while stack:
            folder, items = stack[-1]
            last, deeper = b"", None
            for item in items:
                name, is_no_folder, rest = item.partition(b"\0")
                if name == last:
                    continue  # a folder that is written to may show a name twice
                last = name
                if not is_no_folder:
                    deeper = folder.prefix + name[:-1]
                    break
                self._add(SourcePath(folder.prefix + name), rest)
                if len(self._found) + len(self._problems) >= PART_ENTRIES:
                    yield
            if deeper is not None:
                stack.append((found := await self._taken(scans, deeper), iter(found.items)))
            else:
                stack.pop()
                scans.drop(folder)

    async def _taken(self, scans: Scans, path: bytes) -> Folder:
        folder = await scans.take(path)
        if isinstance(folder.problem, Unfit | Refused):
            if not path:
                raise SourceMissing(f"{shown(self._lane.root.configured)}: {folder.problem}")
            self._problems.append(problem_of(path, folder.problem))
        return folder

    def _add(self, path: SourcePath, facts: bytes) -> None:
        if len(facts) == FACTS.size:
            size_bytes, mtime_s = FACTS.unpack(facts)
            self._found.append(Entry(path, Stat(size_bytes, mtime_s * NANO)))
        else:
            kind, _, message = facts.partition(b"\0")
            self._problems.append(Problem(path, ProblemKind(kind.decode()), message.decode("utf-8", "replace")))

    def _part(self) -> ListingPart:
        part = ListingPart(tuple(self._found), tuple(self._problems))
        self.entries += len(part.entries)
        self._found, self._problems = [], []
        return part
