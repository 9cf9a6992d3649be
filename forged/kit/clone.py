"""Copies that the file system makes itself: clones that share blocks, and copies inside the kernel or on the server.

Raises OSError as the system gives it; `CANNOT` are the answers that mean: not here, copy it the ordinary way.
"""

from __future__ import annotations

import errno
import fcntl
import os

FICLONE = 0x40049409
"""_IOW(0x94, 9, int) of linux/fs.h, since Linux 4.5: btrfs, xfs, bcachefs, ZFS 2.2, overlayfs above one of these."""

CANNOT = frozenset(
    {
        errno.EXDEV,  # another file system
        errno.EOPNOTSUPP,
        errno.ENOTTY,  # file systems that know no such ioctl
        errno.EINVAL,  # a file system without it (ioctl_ficlone(2)), or files it does not like
        errno.ENOSYS,
        errno.EPERM,  # an immutable or swap file; seccomp filters
        errno.EBADF,  # btrfs: one of the two is without copy-on-write
        errno.ETXTBSY,  # a swap file
        errno.EISDIR,
    }
)


def clone_file(source: int, target: int) -> bool:
    """Makes the open file `target` share all blocks of `source`, in one step; whether that can be done here. Raises OSError."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in CANNOT:
            return False
        raise
    return True


def copy_range(source: int, target: int, start: int, end: int) -> int | None:
    """Copies [start, end) to the same place of `target` without the bytes leaving the kernel (on NFS 4.2 and SMB: the server).

    Answers where it stopped, `end` or where the file does; None where this cannot be done here. Raises OSError.
    """
    at = start
    while at < end:
        try:
            count = os.copy_file_range(source, target, end - at, at, at)
        except OSError as error:
            if error.errno in CANNOT and at == start:
                return None
            raise
        if count == 0:
            break
        at += count
    return at
