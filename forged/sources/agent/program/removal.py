"""Removal under guard: rename aside, look again, then unlink or rename back (promise 3). And the undoing of interrupted ones."""

import errno
import os
import re
import time
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

from forged.sources.agent.program.libc import LIBC, last_error
from forged.sources.agent.program.line import CHANGED, Trouble
from forged.sources.agent.program.tree import MAX_NAME_BYTES, facts

MARK = b".forged-aside-"
ASIDE = re.compile(re.escape(MARK) + rb"([0-9a-f]{8})-[0-9a-f]{8}(?:-(.+))?", re.DOTALL)
STALE_S = 300  # an aside older than this was left by an interrupted removal; a live one takes milliseconds
NOREPLACE = 1  # RENAME_NOREPLACE of linux/fs.h, since Linux 3.15
CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)  # old kernel, file system, seccomp filter of a container
HOUSE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def rename_unless_taken(old_folder: int, old: bytes, folder: int, name: bytes) -> None:
    """Renames without ever overwriting: renameat2, else link and unlink. Raises FileExistsError where the name is taken."""
    if LIBC is not None and hasattr(LIBC, "renameat2"):
        if LIBC.renameat2(old_folder, old, folder, name, NOREPLACE) == 0:
            return
        error = last_error()
        if error.errno not in CANNOT:
            raise error
    os.link(old, name, src_dir_fd=old_folder, dst_dir_fd=folder, follow_symlinks=False)
    os.unlink(old, dir_fd=old_folder)


def remove_guarded(folder: int, name: bytes, expected: os.stat_result) -> None:
    """Removes what is under `name` if it is the expected file; otherwise it stays, or is back, under its name.

    Raises Trouble or OSError when it was kept. Only if its name was taken meanwhile it stays aside: a listing brings it home.
    """
    with waiting_place(folder, name) as (place, aside):
        os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=place)
        try:
            unlink_if_same(place, aside, expected)
        except (Trouble, OSError):
            rename_unless_taken(place, aside, folder, name)
            raise


def unlink_if_same(folder: int, name: bytes, expected: os.stat_result) -> None:
    seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not os.path.samestat(seen, expected) or facts(seen)[:2] != facts(expected)[:2]:  # renaming moved ctime, so not that
        raise Trouble(CHANGED, "it changed at the last moment")
    os.unlink(name, dir_fd=folder)


@contextmanager
def waiting_place(folder: int, name: bytes) -> Iterator[Tuple[int, bytes]]:
    """Where a file waits while it is decided whether it may go, and under which name; the name tells what to restore.

    That is `.forged-aside-<time>-<random>-<name>` in the same folder: a plain rename works on a full disk, too. A name too long
    for that keeps its name and waits in a folder `.forged-aside-<time>-<random>`.
    """
    mark = MARK + b"%08x-%b" % (int(time.time()), os.urandom(4).hex().encode())
    if len(mark) + 1 + len(name) <= MAX_NAME_BYTES:
        yield folder, mark + b"-" + name
        return
    os.mkdir(mark, 0o700, dir_fd=folder)
    with house(folder, mark) as place:
        yield place, name


@contextmanager
def house(folder: int, mark: bytes) -> Iterator[int]:
    """The folder of one long name, by a descriptor that a planted link cannot lead elsewhere; removed when it is empty again."""
    place = os.open(mark, HOUSE, dir_fd=folder)
    try:
        yield place
    finally:
        os.close(place)
        try:
            os.rmdir(mark, dir_fd=folder)
        except OSError:
            pass  # something is still in it: the next listing sees to that


def undone(folder: int, name: bytes) -> Optional[bytes]:
    """The name under which an aside is to be listed: its old one once it is restored, None while its removal is in progress.

    One that cannot be restored, because its old name is taken, is a file like any other: it comes home under its aside name.
    """
    mark = ASIDE.fullmatch(name)
    if mark is None or abs(time.time() - int(mark.group(1), 16)) < STALE_S:
        return None
    try:
        if mark.group(2):
            return bring_back(folder, name, folder, mark.group(2))
        return leave_house(folder, name)
    except OSError:
        return name


def leave_house(folder: int, mark: bytes) -> Optional[bytes]:
    with house(folder, mark) as place:
        names = os.listdir(place)
        return bring_back(place, os.fsencode(names[0]), folder, os.fsencode(names[0])) if names else None


def bring_back(place: int, aside: bytes, folder: int, name: bytes) -> bytes:
    try:
        rename_unless_taken(place, aside, folder, name)
    except FileExistsError:
        waiting = os.stat(aside, dir_fd=place, follow_symlinks=False)
        if not os.path.samestat(waiting, os.stat(name, dir_fd=folder, follow_symlinks=False)):
            raise
        os.unlink(aside, dir_fd=place)  # cut off between link and unlink: both names are the same file
    return name
