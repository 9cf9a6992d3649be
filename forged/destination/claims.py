"""Claims: notes about what of ours may lie among the owner's files for a moment, so that a crash leaves nothing stray there.

Two slow ways of landing put something beside the owner's files before a file has its final name: an empty placeholder under that
name (file systems without links and renameat2), and a hidden copy beside it (another disk mounted inside the destination). A
claim, `<staging>.claim` in the staging area, names it before it exists. Whoever meets the claim later removes what it names.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat

from forged.kit.durable import Folders, fsync_folder, write_durably
from forged.model.errors import BadPath
from forged.model.paths import MAX_PATH_BYTES, home_path

_COPY = re.compile(rb"\.forged-[0-9a-f]{16}\.part")
"""Nobody can guess such a name beforehand, so what carries the one in a claim is ours."""


def copy_name() -> bytes:
    """A fresh name for a hidden copy."""
    return b".forged-" + secrets.token_hex(8).encode() + b".part"


def make_claim(staging_folder: int, staging: str, *paths: bytes) -> None:
    """Notes, durably, that these paths (relative to the destination) may soon be ours to remove; replaces an earlier note."""
    write_durably(staging_folder, _name(staging), b"\0".join(paths))


def drop_claim(staging_folder: int, staging: str) -> None:
    """What it named is in its final state."""
    os.unlink(_name(staging), dir_fd=staging_folder)


def settle_claim(staging_folder: int, staging: str, folders: Folders) -> None:
    """Removes what a claim of an earlier attempt names, and the claim. Without a claim it does nothing."""
    try:
        fd = os.open(_name(staging), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=staging_folder)
    except FileNotFoundError:
        return
    try:
        paths = os.read(fd, 2 * MAX_PATH_BYTES + 1).split(b"\0")
    finally:
        os.close(fd)
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, BadPath):
            _remove(home_path(path), folders)
    drop_claim(staging_folder, staging)


def _remove(path: bytes, folders: Folders) -> None:
    """A hidden copy goes; what has a final name goes only while it is an empty file, that is a placeholder."""
    above, _, name = path.rpartition(b"/")
    folder = folders.open(above)
    seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if _COPY.fullmatch(name) or (stat.S_ISREG(seen.st_mode) and seen.st_size == 0):
        os.unlink(name, dir_fd=folder)
        fsync_folder(folder)


def _name(staging: str) -> bytes:
    return staging.encode() + b".claim"
