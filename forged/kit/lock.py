"""One process at a time: a lock that the kernel releases when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockHeld(Exception):
    """Another process holds the lock. `pid` is what it wrote into the file, None where that cannot be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"{path} is locked by " + (f"process {pid}" if pid else "another process"))


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive flock(2) on `path`, a file of its own. Never waits. Raises LockHeld, OSError.

    A missing folder is made (0700), the file too (0600). It holds the pid of its last holder, for people, and is never deleted:
    two processes could then lock two files of one name. The lock belongs to the open file, so a child that was forked without
    exec would keep it alive; programs started with exec do not inherit it (PEP 446). On NFS, Linux makes it a lock of the server.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise LockHeld(path, _pid_in(fd)) from e
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(fd)


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None
