"""Boxes for the source contract: places whose files a test can change by hand, each with the source that looks into it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from forged.model.files import Entry, Stat
from forged.model.paths import SourcePath, source_path
from forged.sources.base import Source
from forged.sources.memory import MemorySource
from forged.sources.memory_box import ROOT, MemoryBox


class Box(Protocol):
    """What the contract's tests do to a box behind the source's back."""

    def source(self) -> Source:
        """A fresh, closed source that looks at the root."""

    def write(self, path: bytes, data: bytes) -> Entry:
        """Creates a file, or rewrites it in place."""

    def replace(self, path: bytes, data: bytes, mtime_ns: int) -> Entry:
        """Renames another file over this name and gives it this mtime."""

    def touch(self, path: bytes) -> None: ...
    def delete(self, path: bytes) -> None: ...
    def folder(self, path: bytes) -> None: ...
    def link(self, path: bytes, target: bytes) -> None: ...
    def known_as(self, path: bytes) -> bytes:
        """The absolute path of something at the box, as the source knows it; b"" = the root."""

    def read(self, path: bytes) -> bytes | None:
        """The bytes of a regular file; None where none is."""

    def lock(self, path: bytes) -> bool:
        """Makes a file or folder unreadable; False where this cannot be done (root reads everything)."""

    def entry(self, path: bytes) -> Entry: ...
    def delete_root(self) -> None: ...
    def names(self) -> set[bytes]:
        """All files and links there are, hidden ones too."""

    async def empty(self) -> None:
        """Returns once no process of a source is left; fails if that takes long."""


class MemoryBoxBox:
    """The memory twin."""

    def __init__(self) -> None:
        self.box = MemoryBox()

    def source(self) -> Source:
        return MemorySource(self.box)

    def write(self, path: bytes, data: bytes) -> Entry:
        return self.box.write(path, data)

    def replace(self, path: bytes, data: bytes, mtime_ns: int) -> Entry:
        return self.box.replace(path, data, mtime_ns)

    def touch(self, path: bytes) -> None:
        self.box.touch(path)

    def delete(self, path: bytes) -> None:
        if path in self.box.files:
            self.box.delete(path)
        self.box.links.discard(SourcePath(path))

    def folder(self, path: bytes) -> None:
        self.box.folders.add(source_path(path))

    def link(self, path: bytes, target: bytes) -> None:
        self.box.link(path, target)

    def known_as(self, path: bytes) -> bytes:
        return ROOT + b"/" + path if path else ROOT

    def read(self, path: bytes) -> bytes | None:
        file = self.box.files.get(SourcePath(path))
        return None if file is None or path in self.box.links else file.data

    def lock(self, path: bytes) -> bool:
        self.box.unreadable.add(source_path(path))
        return True

    def entry(self, path: bytes) -> Entry:
        return self.box.entry(path)

    def delete_root(self) -> None:
        self.box.missing = True

    def names(self) -> set[bytes]:
        return {bytes(path) for path in [*self.box.files, *self.box.links]}

    async def empty(self) -> None:
        return


class FolderBox:
    """A folder of this machine, behind whatever source `make` answers for it. `seen_as`: its path there, where that is another."""

    def __init__(self, root: Path, make: Callable[[Path], Source], seen_as: str = "") -> None:
        self.root = root
        self._make, self._seen_as = make, os.fsencode(seen_as or root)
        root.mkdir(parents=True, exist_ok=True)

    def source(self) -> Source:
        return self._make(self.root)

    def at(self, path: bytes) -> bytes:
        """Where it is on this machine."""
        return os.path.join(os.fsencode(self.root), path)

    def known_as(self, path: bytes) -> bytes:
        return os.path.join(self._seen_as, path)

    def write(self, path: bytes, data: bytes) -> Entry:
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "r+b" if os.path.lexists(self.at(path)) else "wb") as file:
            file.write(data)
            file.truncate(len(data))
        return self.entry(path)

    def replace(self, path: bytes, data: bytes, mtime_ns: int) -> Entry:
        aside = os.fsencode(self.root.parent / "replacement")
        with open(aside, "wb") as file:
            file.write(data)
        os.utime(aside, ns=(mtime_ns, mtime_ns))
        os.rename(aside, self.at(path))
        return self.entry(path)

    def touch(self, path: bytes) -> None:
        os.utime(self.at(path), ns=(1, 1_600_000_000_123_456_789))

    def delete(self, path: bytes) -> None:
        os.unlink(self.at(path))

    def folder(self, path: bytes) -> None:
        os.makedirs(self.at(path))

    def link(self, path: bytes, target: bytes) -> None:
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        os.symlink(target, self.at(path))

    def read(self, path: bytes) -> bytes | None:
        if os.path.islink(self.at(path)) or not os.path.isfile(self.at(path)):
            return None
        with open(self.at(path), "rb") as file:
            return file.read()

    def lock(self, path: bytes) -> bool:
        os.chmod(self.at(path), 0)
        return os.getuid() != 0

    def entry(self, path: bytes) -> Entry:
        seen = os.lstat(self.at(path))
        return Entry(source_path(path), Stat(seen.st_size, seen.st_mtime_ns, seen.st_ino, seen.st_ctime_ns))

    def delete_root(self) -> None:
        shutil.rmtree(self.root)

    def names(self) -> set[bytes]:
        root = os.fsencode(self.root)
        return {os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names}

    async def empty(self) -> None:
        return
