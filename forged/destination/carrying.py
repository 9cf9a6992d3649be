"""The two slow ways to a final name: over a placeholder, and across to another disk that is mounted inside the destination.

Both put something beside the owner's files for a moment, so both make a claim first (see `claims`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os

from forged.destination.claims import copy_name, drop_claim, make_claim, settle_claim
from forged.destination.hashing import BLOCK_BYTES
from forged.destination.place import Place
from forged.destination.pouring import part_name
from forged.kit.durable import NEW_FILE, Folders, NoReplace, rename_noreplace, write_all
from forged.model.errors import DestinationError
from forged.model.paths import HomePath


def rename_claimed(place: Place, folders: Folders, staging: str, home: HomePath) -> None:
    """Renames a staged file over a placeholder of its own. Raises FileExistsError when the name is taken, and OSError."""
    settle_claim(place.staging, staging, folders)
    folder, name = _place_of(folders, home)
    _check_free_name(folder, name)  # before the claim: an empty file of the owner's must not look like our placeholder
    make_claim(place.staging, staging, home)
    try:
        rename_noreplace(NoReplace.PLACEHOLDER, place.staging, part_name(staging), folder, name)
    except FileExistsError:
        drop_claim(place.staging, staging)
        raise
    drop_claim(place.staging, staging)


def carry_across(place: Place, folders: Folders, staging: str, sha256: bytes, home: HomePath, *, replace: bool = False) -> bool:
    """Copies a staged file to a hidden name beside its final one, makes it durable and renames it there.

    False when the name is taken (never with `replace`). Raises DestinationError when the copy is not what was verified;
    OSError.
    """
    settle_claim(place.staging, staging, folders)
    folder, name = _place_of(folders, home)
    copy = copy_name()
    make_claim(place.staging, staging, _beside(home, copy))
    try:
        _copy(place.staging, staging, sha256, folder, copy)
        if replace:
            os.rename(copy, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            _take_name(place, staging, folder, copy, home)
    except BaseException as e:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(copy, dir_fd=folder)
        drop_claim(place.staging, staging)
        if isinstance(e, FileExistsError):
            return False
        raise
    drop_claim(place.staging, staging)
    os.unlink(part_name(staging), dir_fd=place.staging)
    return True


def _copy(staging_folder: int, staging: str, sha256: bytes, folder: int, copy: bytes) -> None:
    """All that the staged file is, on the other disk, on disk. Reading it again proves it again."""
    with contextlib.ExitStack() as stack:
        original = os.open(part_name(staging), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=staging_folder)
        stack.callback(os.close, original)
        fd = os.open(copy, NEW_FILE, 0o600, dir_fd=folder)
        stack.callback(os.close, fd)
        hash, offset = hashlib.sha256(), 0
        while data := os.pread(original, BLOCK_BYTES, offset):
            hash.update(data)
            write_all(fd, data, offset)
            offset += len(data)
        if hash.digest() != sha256:
            raise DestinationError(
                "a staged file is not what was verified", hint="check the disk: what was written reads otherwise"
            )
        _dress_as(os.fstat(original), fd)
        os.fsync(fd)


def _dress_as(seen: os.stat_result, fd: int) -> None:
    os.utime(fd, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
    with contextlib.suppress(PermissionError):  # FAT and some shares keep no modes and groups
        os.fchmod(fd, seen.st_mode & 0o7777)
        os.fchown(fd, -1, seen.st_gid)


def _take_name(place: Place, staging: str, folder: int, copy: bytes, home: HomePath) -> None:
    """By the best way this other file system knows. Trying them in turn leaves nothing behind, as a probe might after a crash."""
    name = home.rpartition(b"/")[2]
    for level in (NoReplace.RENAMEAT2, NoReplace.LINK):
        try:
            return rename_noreplace(level, folder, copy, folder, name)
        except FileExistsError:
            raise
        except OSError:
            continue
    _check_free_name(folder, name)
    make_claim(place.staging, staging, _beside(home, copy), home)
    return rename_noreplace(NoReplace.PLACEHOLDER, folder, copy, folder, name)


def _check_free_name(folder: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        raise FileExistsError(name)


def _place_of(folders: Folders, home: HomePath) -> tuple[int, bytes]:
    above, _, name = home.rpartition(b"/")
    return folders.open(above, make=True), name


def _beside(home: HomePath, name: bytes) -> bytes:
    above, slash, _ = home.rpartition(b"/")
    return above + slash + name
