"""Equal files at home share their bytes: by reflink, where the kernel compares and shares, or as two names of one file.

Reflinks (FIDEDUPERANGE: btrfs, XFS, bcachefs) leave two files that know nothing of each other. Hard links leave one file with two
names: it has one mtime, one mode and one owner, those of the first, and who edits it in place edits both. What the manifest proves
of both, size and sha256, stays true, and each name can be deleted without harm to the other.
Everything here blocks; it runs at a desk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from forged.destination.base import Linked, LinkMode
from forged.destination.hashing import sha256_of
from forged.destination.place import Place
from forged.destination.plain import Told
from forged.destination.pouring import part_name
from forged.destination.regular import above, closing, name_of, open_regular, touch
from forged.destination.root import Root
from forged.destination.swaps import Swaps, swap
from forged.kit.clone import CANNOT
from forged.kit.durable import READ, Folders
from forged.model.paths import HomePath

FIDEDUPERANGE = 0xC0189436
"""_IOWR(0x94, 54, struct file_dedupe_range) of linux/fs.h, since Linux 4.5 (ioctl_fideduperange(2))."""

_RANGE = struct.Struct("=QQHHIqQQiI")
"""struct file_dedupe_range with one file_dedupe_range_info behind it."""

_DIFFERS = 1
"""FILE_DEDUPE_RANGE_DIFFERS of linux/fs.h; below zero is an errno."""

STEP_BYTES = 16 << 20
"""In one call; btrfs takes no more (BTRFS_MAX_DEDUPE_LEN), and others shorten it by themselves."""

BLOCK_BYTES = 4_096
"""What the end of a range has to be a multiple of on kernels before 4.20, where it is not the end of the file."""

_NO_LINKS = CANNOT | {errno.EMLINK, errno.EACCES}


class Links:
    """Of one destination."""

    def __init__(self, root: Root, swaps: Swaps) -> None:
        self._root, self._swaps = root, swaps

    def link(self, first: HomePath, second: HomePath, sha256: bytes, mode: LinkMode) -> Told:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            self._swaps.settle_all(place, folders)
            flags = READ & ~os.O_ACCMODE | os.O_RDWR if mode is LinkMode.REFLINK else READ
            try:
                with closing(open_regular(folders, first)) as one, closing(open_regular(folders, second, flags)) as two:
                    how = _reflink(one, two) if mode is LinkMode.REFLINK else None
                    how = how or self._hardlink(place, folders, (first, one), (second, two), sha256)
            except FileNotFoundError:
                return Linked.GONE.value, ""
            except PermissionError as e:
                return Linked.CANNOT.value, e.strerror or ""
            folders.sync()
            return how.value, ""

    def _hardlink(
        self, place: Place, folders: Folders, first: tuple[HomePath, int], second: tuple[HomePath, int], sha256: bytes
    ) -> Linked:
        (first_home, one), (second_home, two) = first, second
        before, theirs = os.fstat(one), os.fstat(two)
        if os.path.samestat(before, theirs):
            return Linked.ALREADY
        if before.st_size != theirs.st_size or sha256_of(one) != sha256 or sha256_of(two) != sha256:
            return Linked.DIFFERS
        with self._swaps.begun(place) as staging:
            if not _link(place, folders, first_home, staging):
                return Linked.CANNOT
            linked = os.stat(part_name(staging), dir_fd=place.staging, follow_symlinks=False)
            if not os.path.samestat(linked, before) or _content(os.fstat(one)) != _content(before):
                return Linked.DIFFERS
            return _swapped(place, folders, staging, second_home, sha256, theirs)


def _swapped(place: Place, folders: Folders, staging: str, home: HomePath, sha256: bytes, theirs: os.stat_result) -> Linked:
    """The second name becomes one of the first's, if it still was what it was."""
    try:
        done = swap(place, folders, staging, home, sha256, sha256, lambda fd: _content(os.fstat(fd)) == _content(theirs))
    except OSError as e:
        if e.errno != errno.EXDEV:
            raise
        done = None
    return Linked.CANNOT if done is None else Linked.DONE if done else Linked.DIFFERS


def _link(place: Place, folders: Folders, home: HomePath, staging: str) -> bool:
    folder = folders.open(above(home))
    try:
        os.link(name_of(home), part_name(staging), src_dir_fd=folder, dst_dir_fd=place.staging, follow_symlinks=False)
    except OSError as e:
        if e.errno in _NO_LINKS:
            return False
        raise
    return True


def _content(seen: os.stat_result) -> tuple[int, ...]:
    """What changes when somebody writes to a file; its ctime does when it is renamed or linked."""
    return touch(seen)[:3]


def _reflink(one: int, two: int) -> Linked:
    """Shares block by block what the kernel finds equal; mtime, mode and all else of both stay."""
    before, theirs = os.fstat(one), os.fstat(two)
    if os.path.samestat(before, theirs):
        return Linked.ALREADY
    if before.st_size != theirs.st_size:
        return Linked.DIFFERS
    at = 0
    while at < before.st_size:
        step = _dedupe(one, two, at, min(STEP_BYTES, before.st_size - at))
        if isinstance(step, Linked):
            return Linked.DONE if step is Linked.CANNOT and at >= before.st_size // BLOCK_BYTES * BLOCK_BYTES > 0 else step
        at += step
    return Linked.DONE if before.st_size else Linked.ALREADY


def _dedupe(one: int, two: int, at: int, size_bytes: int) -> int | Linked:
    """How many bytes from there on are shared now. Raises OSError."""
    asked = bytearray(_RANGE.pack(at, size_bytes, 1, 0, 0, two, at, 0, 0, 0))
    try:
        fcntl.ioctl(one, FIDEDUPERANGE, asked)
    except OSError as e:
        if e.errno in CANNOT:
            return Linked.CANNOT
        raise
    *_, done_bytes, status, _ = _RANGE.unpack(asked)
    if status == _DIFFERS:
        return Linked.DIFFERS
    if status == -errno.EINVAL and size_bytes > BLOCK_BYTES and size_bytes % BLOCK_BYTES:
        return _dedupe(one, two, at, size_bytes // BLOCK_BYTES * BLOCK_BYTES)
    if status < 0 and -status not in CANNOT:
        raise OSError(-status, os.strerror(-status))
    return int(done_bytes) if status == 0 and done_bytes else Linked.CANNOT
