"""Sidecars and thumbnails at home: small files of forged's own, whose content others make.

A sidecar, `<file>.<ext>.xmp`, may be edited by others, too: it is replaced only while it is what was read and merged with. Nothing
of a source has such a name (rules.names), so what is read here was written by forged or by the owner's programs.
Everything here blocks; it runs at a desk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time

from forged.destination.base import SidecarPut
from forged.destination.carrying import carry_across, rename_claimed
from forged.destination.hashing import sha256_of
from forged.destination.place import Place
from forged.destination.plain import Told
from forged.destination.pouring import PRIVATE_MODE, part_name
from forged.destination.regular import above, closing, look, name_of, open_regular, touch
from forged.destination.root import Root
from forged.destination.swaps import Swaps, swap
from forged.destination.trouble import spares
from forged.kit.durable import NEW_FILE, READ, Folders, NoReplace, rename_noreplace, write_all
from forged.model.paths import MAX_COMPONENT_BYTES, HomePath, below

MOST_SIDECAR_BYTES = 8 << 20
"""A sidecar with the longest prompts has some 100 kB; what others add (faces, histories of edits) has not been seen above 1 MB."""

_ENDING = b".xmp"

THUMBS = b"thumbs"

_OURS_MODE = 0o700


class Sidecars:
    """Of one destination."""

    def __init__(self, root: Root, swaps: Swaps) -> None:
        self._root, self._swaps = root, swaps

    def read(self, home: HomePath) -> bytes | Told | None:
        """As the contract says of `sidecar`; a `Told` where it is refused."""
        sidecar = _sidecar(home)
        if sidecar is None:
            return _TOO_LONG
        with self._root.enter() as place, self._root.folders(place) as folders:
            try:
                with closing(open_regular(folders, sidecar)) as fd:
                    content = _all_of(fd)
            except FileNotFoundError:
                return None if _is_free(folders, sidecar) else _NOT_REGULAR
            except PermissionError:
                return "", "its sidecar is closed to us: check its mode and owner"
            return content if content is not None else ("", f"its sidecar has more than {MOST_SIDECAR_BYTES:,} bytes")

    def put(self, home: HomePath, content: bytes, expects: bytes | None) -> Told:
        """As the contract says of `put_sidecar`."""
        sidecar = _sidecar(home)
        if sidecar is None:
            return _TOO_LONG
        with self._root.enter() as place, self._root.folders(place) as folders:
            self._swaps.settle_all(place, folders)
            if not isinstance(look(folders, home), tuple):
                return SidecarPut.GONE.value, ""
            try:
                how = self._put(place, folders, sidecar, content, expects)
            except OSError as e:
                if not spares(e):
                    raise
                return "", f"its sidecar cannot be written: {e.strerror}"
            folders.sync()
            return how.value, ""

    def _put(self, place: Place, folders: Folders, sidecar: HomePath, content: bytes, expects: bytes | None) -> SidecarPut:
        ours = hashlib.sha256(content).digest()
        if expects == ours:
            return SidecarPut.DONE
        with self._swaps.begun(place) as staging:
            self._stage(place, staging, content)
            try:
                if expects is None:
                    done = _take(place, folders, staging, ours, sidecar)
                else:
                    done = _replace(place, folders, staging, sidecar, expects, ours)
            except FileNotFoundError:
                done = False
            folders.changed(above(sidecar))
            return SidecarPut.DONE if done else SidecarPut.CHANGED

    def _stage(self, place: Place, staging: str, content: bytes) -> None:
        """Durable under its staging name, dressed as the files of the owner are."""
        with closing(os.open(part_name(staging), NEW_FILE, PRIVATE_MODE, dir_fd=place.staging)) as fd:
            write_all(fd, content, 0)
            self._root.dress(fd, time.time_ns())
            os.fsync(fd)

    def put_thumbnail(self, sha256: bytes, content: bytes) -> None:
        """As the contract says. Staged, so that what a crash leaves is swept."""
        with self._root.enter() as place, Folders(place.ours, _OURS_MODE) as folders, self._swaps.begun(place) as staging:
            with closing(os.open(part_name(staging), NEW_FILE, 0o644, dir_fd=place.staging)) as fd:
                write_all(fd, content, 0)
                os.fsync(fd)  # else a power cut leaves an empty one, and nobody would make it again
            folder = folders.open(_thumb_folder(sha256), make=True)
            os.rename(part_name(staging), _thumb_name(sha256), src_dir_fd=place.staging, dst_dir_fd=folder)

    def thumbnail(self, sha256: bytes) -> bytes | None:
        """As the contract says."""
        with self._root.enter() as place, Folders(place.ours, _OURS_MODE) as folders:
            try:
                folder = folders.open(_thumb_folder(sha256))
                with closing(os.open(_thumb_name(sha256), READ, dir_fd=folder)) as fd:
                    return _all_of(fd)
            except (FileNotFoundError, NotADirectoryError):
                return None


def _take(place: Place, folders: Folders, staging: str, sha256: bytes, home: HomePath) -> bool:
    """A name that was free. False when it is not any more."""
    folder, name = folders.open(above(home)), name_of(home)
    try:
        if place.level is NoReplace.PLACEHOLDER:
            rename_claimed(place, folders, staging, home)
        else:
            rename_noreplace(place.level, place.staging, part_name(staging), folder, name)
    except FileExistsError:
        return False
    except OSError as e:
        if e.errno != errno.EXDEV:
            raise
        return carry_across(place, folders, staging, sha256, home)
    return True


def _replace(place: Place, folders: Folders, staging: str, home: HomePath, expects: bytes, ours: bytes) -> bool:
    """What was read, and nothing else."""
    with closing(open_regular(folders, home)) as fd:
        if sha256_of(fd) != expects:
            return False
        seen = os.fstat(fd)
    try:
        swapped = swap(place, folders, staging, home, expects, ours, lambda fd: sha256_of(fd) == expects)
        return swapped if swapped is not None else _rename_over(place, folders, staging, home, seen)
    except OSError as e:
        if e.errno != errno.EXDEV or not _is_still(folders, home, seen):
            raise
        return carry_across(place, folders, staging, ours, home, replace=True)


def _rename_over(place: Place, folders: Folders, staging: str, home: HomePath, seen: os.stat_result) -> bool:
    """Where two names cannot be exchanged (NFS, SMB, FUSE): a look, and the rename a moment later."""
    if not _is_still(folders, home, seen):
        return False
    os.rename(part_name(staging), name_of(home), src_dir_fd=place.staging, dst_dir_fd=folders.open(above(home)))
    return True


def _is_still(folders: Folders, home: HomePath, seen: os.stat_result) -> bool:
    return touch(os.stat(name_of(home), dir_fd=folders.open(above(home)), follow_symlinks=False)) == touch(seen)


def _is_free(folders: Folders, home: HomePath) -> bool:
    try:
        os.stat(name_of(home), dir_fd=folders.open(above(home)), follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return True
    return False


def _all_of(fd: int) -> bytes | None:
    """Its content; None where it is too much."""
    content = bytearray()
    while len(content) <= MOST_SIDECAR_BYTES and (data := os.pread(fd, MOST_SIDECAR_BYTES + 1 - len(content), len(content))):
        content += data
    return bytes(content) if len(content) <= MOST_SIDECAR_BYTES else None


_TOO_LONG: Told = ("", "its name is too long for a sidecar's: 255 bytes with .xmp are what file systems take")
_NOT_REGULAR: Told = ("", "what lies under its sidecar's name is no regular file: move it away")


def _sidecar(home: HomePath) -> HomePath | None:
    """The name of a file's sidecar; None where no file system could hold it."""
    name = name_of(home) + _ENDING
    return below(above(home), name) if len(name) <= MAX_COMPONENT_BYTES else None


def thumbnail_name(sha256: bytes) -> str:
    """Where the thumbnail of a content lies, below the destination."""
    return os.fsdecode(b"/".join([b".forged", _thumb_folder(sha256), _thumb_name(sha256)]))


def _thumb_folder(sha256: bytes) -> bytes:
    digits = sha256.hex().encode()
    return b"/".join([THUMBS, digits[:2], digits[2:4]])


def _thumb_name(sha256: bytes) -> bytes:
    return sha256.hex().encode() + b"_512.webp"
