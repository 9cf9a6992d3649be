"""Files and folders below the root, reached from descriptor to descriptor without ever following a link."""

import errno
import os
import stat
import struct
import sys
from contextlib import contextmanager
from itertools import groupby
from typing import ContextManager, Iterator, Optional, Sequence, Set, Tuple

from forged.sources.agent.program.line import CHANGED, FACTS, LINK, UNREADABLE, VANISHED, Trouble

O_PATH = getattr(os, "O_PATH", 0)  # needs no read permission on the folders on the way
FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # NONBLOCK: a planted FIFO must not hang us
GONE = (errno.ENOENT, errno.ENOTDIR)
MAX_NAME_BYTES = 255  # NAME_MAX
MAX_PATH_BYTES = 4096  # PATH_MAX

Facts = Tuple[int, int, int, int]  # size, mtime_ns, inode, ctime_ns
Expected = Tuple[int, int, int, int, int]  # which of inode (1) and ctime (2) are known, then facts


def trouble_of(error: OSError) -> Trouble:
    """The system's error in our words."""
    kind = VANISHED if error.errno in GONE else LINK if error.errno == errno.ELOOP else UNREADABLE
    return Trouble(kind, error.strerror or str(error))


def facts(seen: os.stat_result) -> Facts:
    """What is told of a file. Folded into 63 bits, where some network file systems exceed them: only equality counts."""
    top = (1 << 63) - 1
    mtime_ns, ctime_ns = (max(-top, min(top, time_ns)) for time_ns in (seen.st_mtime_ns, seen.st_ctime_ns))
    return seen.st_size, mtime_ns, seen.st_ino & top, ctime_ns


def same_outside(seen: Facts, expected: Expected) -> bool:
    return seen[:2] == expected[1:3]


def same_file(seen: Facts, expected: Expected) -> bool:
    known = expected[0]
    inode_moved = known & 1 and seen[2] != expected[3]
    ctime_moved = known & 2 and seen[3] != expected[4]
    return same_outside(seen, expected) and not inode_moved and not ctime_moved


def packed(seen: os.stat_result) -> bytes:
    """The facts as they are sent."""
    try:
        return FACTS.pack(seen.st_size, seen.st_mtime_ns, seen.st_ino, seen.st_ctime_ns)
    except struct.error:
        return FACTS.pack(*facts(seen))


def entries_of(fd: int) -> ContextManager[Iterator["os.DirEntry[str]"]]:
    """What is in an open folder. Its entries look from the descriptor, as long as it is open."""
    return os.scandir(fd if sys.version_info >= (3, 7) else "/proc/self/fd/%d" % fd)  # 3.6 scans no descriptor


def scan(fd: int, names: Set[bytes]) -> None:
    """Adds what is in an open folder; the names of folders end with a `/`. What was read before an error is kept."""
    with entries_of(fd) as entries:
        for entry in entries:
            names.add(os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b""))


def usable(path: bytes) -> bool:
    """Whether a path is one that forged brings home; others are told as problems by a listing."""
    return len(path) <= MAX_PATH_BYTES and len(path.rpartition(b"/")[2]) <= MAX_NAME_BYTES


def what_it_is(mode: int) -> str:
    return "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"


def glance(folder: int, name: bytes) -> Optional[os.stat_result]:
    """How a regular file looks; None for whatever is none."""
    try:
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return seen if stat.S_ISREG(seen.st_mode) else None


class File:
    """An open regular file: its descriptor, how it looked when opened, and where it was found."""

    def __init__(self, fd: int, folder: int, name: bytes) -> None:
        self.fd, self.folder, self.name = fd, folder, name
        self.before = os.fstat(fd)
        if not stat.S_ISREG(self.before.st_mode):
            raise Trouble(LINK, "it is " + what_it_is(self.before.st_mode))

    def is_as(self, expected: Expected) -> bool:
        return same_file(facts(self.before), expected)

    def must_be(self, expected: Expected) -> None:
        if not self.is_as(expected):
            raise Trouble(CHANGED, "it is not as it was listed")

    def read(self, amount: int) -> bytes:
        chunk = os.read(self.fd, amount)
        if not chunk:
            raise Trouble(CHANGED, "it became shorter while it was read")
        return chunk

    def after(self) -> Facts:
        """The look after the last byte. A file that is gone by now was read whole; one that was replaced is another."""
        try:
            there = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            there = self.before
        if not os.path.samestat(there, self.before):
            raise Trouble(CHANGED, "it was replaced while it was read")
        return facts(os.fstat(self.fd))


class Tree:
    """The root folder, and what is below it, reached from descriptor to descriptor without following a link."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._fd = self._open()

    @property
    def path(self) -> bytes:
        """Where the root really is."""
        return os.path.realpath(self._root)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def refresh(self) -> None:
        """Finds the root again: a folder that was deleted and made anew must not look like one whose files are gone."""
        fresh = self._open()
        os.dup2(fresh, self._fd, False)
        os.close(fresh)

    def must_be_there(self) -> None:
        """Raises FileNotFoundError when the root's path leads to another folder by now."""
        fresh = self._open()
        try:
            if not os.path.sameopenfile(fresh, self._fd):
                raise FileNotFoundError(errno.ENOENT, "the folder was replaced while it was listed")
        finally:
            os.close(fresh)

    def room(self) -> Tuple[int, int]:
        disk = os.fstatvfs(self._fd)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    @contextmanager
    def folder(self, path: bytes, how: int = O_PATH) -> Iterator[int]:
        """A descriptor of a folder: for `dir_fd` only, or with `how=O_RDONLY` also to scan."""
        parts = path.split(b"/") if path else [b"."]
        fd = self._fd
        try:
            for at, part in enumerate(parts, 1):
                deeper = self._step(fd, part, how if at == len(parts) else O_PATH)
                self._leave(fd)
                fd = deeper
            yield fd
        finally:
            self._leave(fd)

    def _leave(self, fd: int) -> None:
        if fd != self._fd:
            os.close(fd)

    def _step(self, fd: int, part: bytes, how: int) -> int:
        try:
            return os.open(part, how | FOLDER, dir_fd=fd)
        except NotADirectoryError:
            mode = os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                raise Trouble(LINK, "a folder of its path is a symbolic link")
            raise

    @contextmanager
    def opened(self, path: bytes) -> Iterator[File]:
        """A regular file, open for reading. Anything else under its name is a change."""
        folder, _, name = path.rpartition(b"/")
        try:
            with self.folder(folder) as parent:
                fd = os.open(name, FILE, dir_fd=parent)
                try:
                    yield File(fd, parent, name)
                finally:
                    os.close(fd)
        except (Trouble, OSError) as error:
            trouble = trouble_of(error) if isinstance(error, OSError) else error
            raise Trouble(CHANGED if trouble.kind == LINK else trouble.kind, str(trouble))

    def look(self, path: bytes) -> Facts:
        folder, _, name = path.rpartition(b"/")
        with self.folder(folder) as parent:
            seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISREG(seen.st_mode):
            raise Trouble(LINK, "it is " + what_it_is(seen.st_mode))
        return facts(seen)

    def looks(self, paths: Sequence[bytes]) -> Iterator[Tuple[bytes, Facts]]:
        """How those of `paths` look that are regular files now. Neighbours of one folder are cheap."""
        for folder, neighbours in groupby(paths, lambda path: path.rpartition(b"/")[0]):
            try:
                with self.folder(folder) as parent:
                    for path in neighbours:
                        seen = glance(parent, path.rpartition(b"/")[2])
                        if seen is not None:
                            yield path, facts(seen)
            except (Trouble, OSError):
                pass  # the folder is gone, or replaced by a link

    def resolve(self, path: bytes) -> Tuple[int, int, bytes]:
        """Device, inode and real path of any folder, links followed. Opens nothing."""
        real = os.path.realpath(path)
        seen = os.stat(real)
        if not stat.S_ISDIR(seen.st_mode):
            raise Trouble(LINK, "it is no folder")
        return seen.st_dev, seen.st_ino, real

    def remove_folder(self, path: bytes) -> None:
        """Removes a folder that is empty. Raises OSError for any other, and for a link."""
        folder, _, name = path.rpartition(b"/")
        with self.folder(folder) as parent:
            os.rmdir(name, dir_fd=parent)
