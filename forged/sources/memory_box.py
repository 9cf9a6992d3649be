"""A box made of a dict: files, links and a clock, for the memory twin of a source. It outlives the sources that look into it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field

from forged.model.files import Entry, Problem, ProblemKind, Stat
from forged.model.paths import SourcePath, source_path
from forged.model.places import Place

ROOT = b"/box"
"""Where the root of every such box is: a path that `resolve` knows."""

MAX_LINKS = 40
"""Followed on one way, as Linux does (MAXSYMLINKS)."""

PIECE_BYTES = 64 * 1024
"""Small, so that a few hundred kilobytes already make many pieces and faults have somewhere to strike."""


@dataclass(slots=True)
class MemoryFile:
    """One inode: its bytes and its outside."""

    data: bytes
    mtime_ns: int
    inode: int
    ctime_ns: int

    @property
    def stat(self) -> Stat:
        return Stat(len(self.data), self.mtime_ns, self.inode, self.ctime_ns)


@dataclass(slots=True)
class MemoryBox:
    """A machine with files, links and a clock of its own. Paths are bytes below the root."""

    clock_ns: int = 1_700_000_000_000_000_000
    files: dict[SourcePath, MemoryFile] = field(default_factory=dict)
    links: set[SourcePath] = field(default_factory=set)
    folders: set[SourcePath] = field(default_factory=set)
    """Those that may be empty; the others follow from the files."""
    unreadable: set[SourcePath] = field(default_factory=set)
    """Files or folders that may not be opened."""
    missing: bool = False
    """The root itself does not exist."""
    listeners: list[Callable[[SourcePath], object]] = field(default_factory=list)
    """Told of every name that was written, replaced or deleted."""
    targets: dict[SourcePath, bytes] = field(default_factory=dict)
    """Where links lead to."""
    _inodes: int = 0

    def write(self, path: bytes, data: bytes, mtime_ns: int | None = None) -> Entry:
        """Creates the file, or rewrites it in place: the inode stays, mtime and ctime move. Answers its entry."""
        known = source_path(path)
        now_ns = self.tick()
        file = self.files.get(known)
        if file is None:
            file = self.files[known] = MemoryFile(b"", now_ns, self._next_inode(), now_ns)
        file.data, file.mtime_ns, file.ctime_ns = data, now_ns if mtime_ns is None else mtime_ns, now_ns
        self._tell(known)
        return Entry(known, file.stat)

    def replace(self, path: bytes, data: bytes, mtime_ns: int | None = None) -> Entry:
        """Another file is renamed over this name: a new inode. Whoever reads the old one goes on reading it."""
        self.files.pop(source_path(path), None)
        return self.write(path, data, mtime_ns)

    def touch(self, path: bytes, mtime_ns: int | None = None) -> Entry:
        """Moves mtime and ctime, and nothing else."""
        return self.write(path, self.files[source_path(path)].data, mtime_ns)

    def delete(self, path: bytes) -> None:
        del self.files[source_path(path)]
        self._leave_folder(path)
        self._tell(source_path(path))

    def remove_folder(self, path: SourcePath) -> bool:
        """Removes an empty folder; False where there is none, or something is in it."""
        things = [*self.files, *self.links, *self.folders]
        if path not in self.folders or any(thing.startswith(path + b"/") for thing in things):
            return False
        self.folders.remove(path)
        self._leave_folder(path)
        return True

    def _leave_folder(self, path: bytes) -> None:
        """What was in a folder is gone; the folder itself stays."""
        folder = path.rpartition(b"/")[0]
        if folder:
            self.folders.add(source_path(folder))

    def _tell(self, path: SourcePath) -> None:
        for listener in self.listeners:
            listener(path)

    def link(self, path: bytes, target: bytes = b"nowhere") -> None:
        """A symbolic link; where it leads to matters to `resolve` alone, since nobody else may follow it."""
        self.links.add(source_path(path))
        self.targets[source_path(path)] = target

    def entry(self, path: bytes) -> Entry:
        """The entry a listing would show now."""
        known = source_path(path)
        return Entry(known, self.files[known].stat)

    def tick(self) -> int:
        """Time passes by a millisecond, so that no two writes have the same mtime."""
        self.clock_ns += 1_000_000
        return self.clock_ns

    def _next_inode(self) -> int:
        self._inodes += 1
        return self._inodes

    def hidden(self, path: bytes) -> bool:
        """Whether the path, or a folder above it, may not be opened."""
        return any(path == closed or path.startswith(closed + b"/") for closed in self.unreadable)

    def look(self, path: SourcePath) -> Stat | Problem:
        if path in self.links:
            return Problem(path, ProblemKind.LINK, "a symbolic link")
        if path not in self.files:
            return Problem(path, ProblemKind.VANISHED, "no such file")
        return self.files[path].stat

    def resolve(self, path: bytes, followed: int = 0) -> Place | Problem:
        """Where an absolute path leads, link by link. This box knows its own root and what is below it; nothing has an inode."""
        path = posixpath.normpath(path)
        if followed > MAX_LINKS:
            return Problem(path, ProblemKind.LINK, "too many links")
        at = b"/"
        for part in path[1:].split(b"/"):
            at = posixpath.join(at, part)
            target = self.targets.get(SourcePath(at.removeprefix(ROOT + b"/")))
            if target is not None and at.startswith(ROOT + b"/") and SourcePath(at.removeprefix(ROOT + b"/")) in self.links:
                rest = path[len(at) :]
                return self.resolve(posixpath.join(posixpath.dirname(at), target) + rest, followed + 1)
        return self._place(path)

    def _place(self, path: bytes) -> Place | Problem:
        inside = path.removeprefix(ROOT).removeprefix(b"/")
        things = [*self.files, *self.folders, *self.links]
        if inside in self.files:
            return Problem(path, ProblemKind.LINK, "it is no folder")
        if (path == ROOT and not self.missing) or inside in self.folders or any(one.startswith(inside + b"/") for one in things):
            return Place(path)
        return Problem(path, ProblemKind.VANISHED, "no such folder")
