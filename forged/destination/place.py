"""The open folders of a destination, and whether they are still the right ones.

    <dest>/.forged/id                     the marker: a random id, made on first use
    <dest>/.forged/staging/<namespace>/   where the bytes of one target wait for their final names

Everything here blocks; it runs at a desk.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass

from forged.kit.durable import FOLDER, READ, NoReplace
from forged.model.errors import MarkerMissing

OURS = b".forged"
MARKER = b"id"
STAGING = b"staging"

ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
"""How the destination itself is opened. It may be reached through a link: that is the owner's choice, not a source's."""

Look = tuple[int, int, int, int]
"""What changes when somebody exchanges or rewrites the marker."""


@dataclass(frozen=True, slots=True)
class Place:
    """The open folders of a destination, for the length of one piece of work, or of several in one thread."""

    path: bytes
    root: int
    ours: int
    staging: int
    level: NoReplace
    marker: Look

    def is_still_there(self) -> bool:
        """Whether the same marker is found by the destination's path: one call, where opening everything again takes eleven."""
        try:
            return _look(os.stat(self.path + b"/" + OURS + b"/" + MARKER)) == self.marker
        except OSError:
            return False

    def close(self) -> None:
        for fd in (self.staging, self.ours, self.root):
            os.close(fd)


def open_place(path: bytes, namespace: bytes, known_id: str, level: NoReplace) -> Place:
    """Opens it after a look at its marker. Raises MarkerMissing when that is another one, and OSError."""
    fds = [os.open(path, ROOT)]
    try:
        marker = _look(os.stat(OURS + b"/" + MARKER, dir_fd=fds[0])) if read_marker(fds[0]) == known_id else None
        if marker is None:
            raise MarkerMissing(f"{os.fsdecode(path)}: it was unmounted or exchanged just now")
        for name in (OURS, STAGING, namespace):
            fds.append(os.open(name, FOLDER, dir_fd=fds[-1]))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    root, ours, outer, staging = fds
    os.close(outer)
    return Place(path, root, ours, staging, level, marker)


def read_marker(root: int) -> str | None:
    """The id in `.forged/id`; None where there is none, or one that is not ours to understand."""
    try:
        fd = os.open(OURS + b"/" + MARKER, READ, dir_fd=root)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return str(uuid.UUID(os.read(fd, 64).decode("ascii").strip()))
    except ValueError:
        return None
    finally:
        os.close(fd)


def _look(seen: os.stat_result) -> Look:
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns
