"""What the system's errors mean here: trouble with the whole place is raised, trouble with one file is told apart by `spares`."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from forged.model.errors import DestinationError, DestinationFailing, DestinationMissing, DestinationReadOnly, DiskFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_FAILING = {
    errno.EIO: "the disk or its cable may be failing: look at the kernel's log (dmesg)",
    errno.ENODEV: "the disk has gone: plug it in and mount it again",
}
_ILL = {
    errno.ESTALE: "the NAS has moved or re-exported the share: mount it again",
    errno.ENOTCONN: "the process behind this mount has ended: mount it again",
    errno.EMFILE: "raise the limit of open files (LimitNOFILE= in the unit, `ulimit -n`)",
}

_ONE_FILE = frozenset(
    {
        errno.ENAMETOOLONG,  # 255 bytes fit, but some file systems count otherwise (eCryptfs: 143)
        errno.ELOOP,  # a link in the way
        errno.ENOTDIR,  # a file in the way, or a link to a folder
        errno.ENOENT,  # the owner removed the folder in this moment
        errno.EINVAL,  # a character that FAT or SMB do not take
        errno.EILSEQ,  # bytes that are no UTF-8, where the file system wants it (ZFS utf8only)
        errno.EACCES,  # a folder of the owner's that is closed to us, or .forged itself
        errno.EPERM,
        errno.EFBIG,  # over 4 GiB on FAT
    }
)


def spares(error: OSError) -> bool:
    """Whether only this one file is in trouble, and the next one may do well."""
    return error.errno in _ONE_FILE


def translated(error: OSError, where: str) -> DestinationError:
    """The same trouble in forged's words."""
    text = f"{where}: {error.strerror or error}"
    if error.errno in _FULL:
        return DiskFull(text)
    if error.errno in _CLOSED:
        return DestinationReadOnly(text, hint=DestinationReadOnly.of_the_mount if error.errno == errno.EROFS else "")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return DestinationMissing(text)
    if error.errno in _FAILING:
        return DestinationFailing(text, hint=_FAILING[error.errno])
    return DestinationError(text, hint=_ILL.get(error.errno or 0, "forged tries again by itself"))


@contextmanager
def border(where: str) -> Iterator[None]:
    """The door: an OSError that comes this far is the place's trouble and leaves as a DestinationError."""
    try:
        yield
    except OSError as e:
        raise translated(e, where) from e
