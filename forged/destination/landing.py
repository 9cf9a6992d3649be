"""How staged files get their final names: dressed, made durable, renamed without overwriting, and their folders made durable.

The order over a batch is the promise: all files are on disk before the first gets its name, and all names before the first is
answered. One journal commit of the file system then serves many files. Everything here blocks; several batches at once are safe,
because taking a name is one atomic step.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Sequence
from itertools import chain
from typing import Final

from forged.destination.carrying import carry_across, rename_claimed
from forged.destination.fresh import Fresh
from forged.destination.hashing import feed, sha256_of
from forged.destination.place import Place
from forged.destination.plain import Fate, Opened, Seen, Wish
from forged.destination.pouring import part_name
from forged.destination.regular import above, closing, look, name_of, open_regular, touch
from forged.destination.root import Root
from forged.destination.staging import Inspect
from forged.destination.trouble import spares
from forged.kit.durable import READ, Folders, NoReplace, rename_noreplace
from forged.model.paths import HomePath, shown
from forged.model.transfer import LandedAs, Wholeness
from forged.rules.names import VersionNames

_HOME: Final = 4
"""Where a wish says which name it should get."""


class Landings:
    """Lands, looks at and hashes files of one destination."""

    def __init__(self, root: Root, fresh: Fresh) -> None:
        self._root, self._fresh = root, fresh

    def land(self, wishes: Sequence[Wish]) -> list[Fate]:
        """As the contract says. Names are taken folder by folder, and within one in the order asked."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            here = self._on_disk(place, wishes)
            naming = _Naming(place, folders)
            fates: dict[int, Fate] = {}
            for number in sorted(range(len(wishes)), key=lambda number: above(wishes[number][_HOME])):
                fates[number] = naming.fate(wishes[number], here[number])
            folders.sync()
            return [fates[number] for number in range(len(wishes))]

    def _on_disk(self, place: Place, wishes: Sequence[Wish]) -> list[bool]:
        """Dresses staged files and makes them durable; which of them were there."""
        most = self._fresh.most
        groups = [wishes[start : start + most] for start in range(0, len(wishes), most)]
        return [is_here for group in groups for is_here in self._group_on_disk(place, group)]

    def _group_on_disk(self, place: Place, wishes: Sequence[Wish]) -> list[bool]:
        fds: list[int | None] = [self._fresh.take(staging, sha256) for staging, _, sha256, *_ in wishes]
        try:
            for number, (staging, size_bytes, _, mtime_ns, *_) in enumerate(wishes):
                fd = fds[number] = fds[number] if fds[number] is not None else _opened(place, staging, size_bytes)
                if fd is not None:
                    self._root.dress(fd, mtime_ns)
            for fd, (staging, *_) in zip(fds, wishes, strict=True):
                if fd is not None:
                    _fsync(fd, place, staging)
            return [fd is not None for fd in fds]
        finally:
            for fd in fds:
                if fd is not None:
                    os.close(fd)

    def look(self, homes: Sequence[HomePath]) -> list[Seen]:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            return [look(folders, home) for home in homes]

    def open(self, home: HomePath) -> Opened:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            try:
                fd = open_regular(folders, home)
            except FileNotFoundError:
                return False
            except PermissionError:
                return True
            seen = os.fstat(fd)
            return fd, seen.st_size, seen.st_mtime_ns

    def hash(self, home: HomePath) -> bytes | None:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            try:
                fd = open_regular(folders, home)
            except (FileNotFoundError, PermissionError):
                return None
            with closing(fd):
                return sha256_of(fd)

    def inspect(self, home: HomePath, how: Inspect) -> Wholeness:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            try:
                fd = open_regular(folders, home)
            except (FileNotFoundError, PermissionError):
                return Wholeness.UNKNOWN
            with closing(fd):
                return how(fd, os.fstat(fd).st_size, b"")

    def confirm(self, batch: Sequence[HomePath]) -> None:
        """As the contract says. What has gone meanwhile is no concern of it; the next look at home sees that."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            for home in batch:
                with contextlib.suppress(FileNotFoundError):
                    with closing(open_regular(folders, home)) as fd:
                        os.fsync(fd)
                    folders.changed(above(home))
            folders.sync()


class _Naming:
    """Gives the files of one batch their final names."""

    def __init__(self, place: Place, folders: Folders) -> None:
        self._place, self._folders = place, folders

    def fate(self, wish: Wish, is_here: bool) -> Fate:
        """Tries its names in turn. Raises OSError when the place as a whole is in trouble."""
        _, _, sha256, _, wanted, _, own_name, _ = wish
        try:
            for home in chain((wanted,), VersionNames(own_name, sha256)):
                how = self._try(wish, home, is_here)
                if how is not None:
                    return home, how.value
        except OSError as e:
            if not spares(e):
                raise
            return f"cannot land as {shown(home)}: {_IN_THE_WAY if e.errno == errno.ENOTDIR else e.strerror}"
        return f"every name for {shown(wanted)} is taken" if is_here else "its staged bytes are gone"

    def _try(self, wish: Wish, home: HomePath, is_here: bool) -> LandedAs | None:
        """Takes this name, or adopts what is there; None when it is other content's (or when there is nothing to land)."""
        folder, _, name = home.rpartition(b"/")
        if is_here and self._take(wish, home, folder, name):
            self._folders.changed(folder)
            return LandedAs.NEW if home is wish[_HOME] else LandedAs.VERSION
        try:
            fd = open_regular(self._folders, home)
        except (FileNotFoundError, PermissionError):
            return None
        with closing(fd):
            how = self._compare(wish, home, fd, is_here)
        if how is not None:
            self._folders.changed(folder)
        return how

    def _take(self, wish: Wish, home: HomePath, above_it: bytes, name: bytes) -> bool:
        staging, size_bytes, sha256, *_ = wish
        folder, level = self._folders.open(above_it, make=True), self._place.level
        try:
            if level is NoReplace.PLACEHOLDER and size_bytes:
                rename_claimed(self._place, self._folders, staging, home)
            else:  # an empty file needs no claim: its placeholder is as good as itself
                rename_noreplace(level, self._place.staging, part_name(staging), folder, name)
        except FileExistsError:
            return False
        except OSError as e:
            if e.errno != errno.EXDEV:
                raise
            return carry_across(self._place, self._folders, staging, sha256, home)
        return True

    def _compare(self, wish: Wish, home: HomePath, fd: int, is_here: bool) -> LandedAs | None:
        """What is there may be equal, or what `mutable` may replace."""
        staging, size_bytes, sha256, _, wanted, replaces, _, _ = wish
        seen, may_replace = os.fstat(fd), is_here and replaces is not None and home == wanted
        if seen.st_size != size_bytes and not may_replace:
            return None
        there = sha256_of(fd)
        if there == sha256 and seen.st_size == size_bytes:
            return self._adopt(staging, fd)
        if may_replace and (there == replaces or self._goes_on_from(wish, there, seen.st_size)):
            return self._replace(wish, home, seen)
        return None

    def _goes_on_from(self, wish: Wish, there: bytes, there_bytes: int) -> bool:
        """Whether what is there has grown since, and is how the staged file begins: then nothing is lost with it."""
        staging, size_bytes, *_, replaces_bytes = wish
        if not replaces_bytes < there_bytes < size_bytes or (fd := _opened(self._place, staging, size_bytes)) is None:
            return False
        with closing(fd):
            hash = hashlib.sha256()
            feed(hash, fd, 0, there_bytes)
            return hash.digest() == there

    def _adopt(self, staging: str, fd: int) -> LandedAs:
        os.fsync(fd)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part_name(staging), dir_fd=self._place.staging)
        return LandedAs.ADOPTED

    def _replace(self, wish: Wish, home: HomePath, seen: os.stat_result) -> LandedAs | None:
        """In one step, and only if nobody has touched it since it was hashed."""
        staging, _, sha256, *_ = wish
        folder, name = self._folders.open(above(home)), name_of(home)
        if touch(os.stat(name, dir_fd=folder, follow_symlinks=False)) != touch(seen):
            return None
        try:
            os.rename(part_name(staging), name, src_dir_fd=self._place.staging, dst_dir_fd=folder)
        except OSError as e:
            if e.errno != errno.EXDEV:
                raise
            carry_across(self._place, self._folders, staging, sha256, home, replace=True)
        return LandedAs.REPLACED


def _opened(place: Place, staging: str, size_bytes: int) -> int | None:
    """A staged file that is not fresh any more; None when it is not there (any more)."""
    try:
        fd = os.open(part_name(staging), READ, dir_fd=place.staging)
    except FileNotFoundError:
        return None
    if os.fstat(fd).st_size != size_bytes:
        os.close(fd)  # another attempt has begun in its place
        return None
    return fd


def _fsync(fd: int, place: Place, staging: str) -> None:
    """After a failed one a staged file's pages may be gone though a second fsync would succeed (fsync(2), Notes on errors): the
    file is dropped, so that it is brought again."""
    try:
        os.fsync(fd)
    except OSError:
        os.unlink(part_name(staging), dir_fd=place.staging)
        raise


_IN_THE_WAY = "a file or a link lies where its folder belongs; move it away"
"""What ENOTDIR means to whoever can do something about it."""
