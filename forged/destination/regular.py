"""Looking at and opening regular files at home, below the destination and without following links."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from forged.destination.plain import Seen
from forged.kit.durable import READ, Folders
from forged.model.paths import HomePath

NOTHING_THERE = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR, errno.EINVAL, errno.EILSEQ})
"""What a name answers that is no regular file of ours: a link, a socket, a name that this file system cannot even hold."""


def open_regular(folders: Folders, home: HomePath, flags: int = READ) -> int:
    """Opens a regular file for reading; FileNotFoundError for anything else. Other OSErrors: nobody knows what is there."""
    try:
        fd = os.open(name_of(home), flags, dir_fd=folders.open(above(home)))
    except OSError as e:
        if e.errno in NOTHING_THERE:
            raise FileNotFoundError(errno.ENOENT, "no regular file", home) from e
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "no regular file", home)
    return fd


def look(folders: Folders, home: HomePath) -> Seen:
    """What is there. Raises OSError when nobody knows."""
    try:
        seen = os.stat(name_of(home), dir_fd=folders.open(above(home)), follow_symlinks=False)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    except OSError as e:
        if e.errno in NOTHING_THERE:
            return False
        raise
    return (seen.st_size, seen.st_mtime_ns) if stat.S_ISREG(seen.st_mode) else False


@contextlib.contextmanager
def closing(fd: int) -> Iterator[int]:
    """Closes it in the end."""
    try:
        yield fd
    finally:
        os.close(fd)


def touch(seen: os.stat_result) -> tuple[int, int, int, int]:
    """What changes when somebody writes to a file, or puts another in its place."""
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def above(home: HomePath) -> bytes:
    """Its folder."""
    return home.rpartition(b"/")[0]


def name_of(home: HomePath) -> bytes:
    """Its last name."""
    return home.rpartition(b"/")[2]
