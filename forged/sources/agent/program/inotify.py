"""The kernel's inotify: folders in, events out. Facts and numbers are those of inotify(7) and sys/inotify.h."""

import os
import struct
from types import TracebackType
from typing import Iterator, Optional, Tuple, Type

from forged.sources.agent.program.libc import LIBC, last_error

CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x8, 0x40, 0x80, 0x100, 0x200  # what happens to something in a folder
UNMOUNT, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000  # told whether asked or not
ISDIR = 0x40000000
EXCL_UNLINK = 0x4000000  # nothing more of a file that was deleted while open: its name may be another file's by then
LIMIT = 28  # ENOSPC: fs.inotify.max_user_watches is reached

EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
BUFFER_BYTES = 65536  # up to 2,048 events a read; the kernel keeps the others (16,384 by default)

Event = Tuple[int, int, bytes]  # watch, mask, name


class Inotify:
    """One instance, for a `with` block. Raises OSError where the box has none (left)."""

    def __init__(self) -> None:
        if LIBC is None or not hasattr(LIBC, "inotify_init1"):
            raise OSError("this Python cannot reach inotify")
        self.fd = LIBC.inotify_init1(os.O_CLOEXEC)
        if self.fd < 0:
            raise last_error()

    def __enter__(self) -> "Inotify":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        os.close(self.fd)

    def add(self, folder: int, events: int) -> int:
        """Watches an open folder, whatever its path leads to by now; the same folder gets the same number. Raises OSError."""
        watch = LIBC.inotify_add_watch(self.fd, b"/proc/self/fd/%d" % folder, events | EXCL_UNLINK) if LIBC else -1
        if watch < 0:
            raise last_error()
        return int(watch)

    def forget(self, watch: int) -> None:
        """Watches it no longer; what it told before may still come. One that is gone already is fine."""
        if LIBC:
            LIBC.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[Event]:
        """Some of the events that wait; waits for one if there is none."""
        told, at = os.read(self.fd, BUFFER_BYTES), 0
        while at < len(told):
            watch, mask, _, size = EVENT.unpack_from(told, at)
            at += EVENT.size + size
            yield watch, mask, told[at - size : at].rstrip(b"\0")


def can_watch() -> bool:
    """Whether this box lets us watch at all: no inotify in some sandboxes, no instance left for this user, no /proc."""
    try:
        with Inotify():
            return os.path.isdir("/proc/self/fd")
    except OSError:
        return False
