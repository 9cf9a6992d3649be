"""Whether a folder lies on a file system of its own, as the kernel tells it (proc(5): mountinfo)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

MOUNTINFO = "/proc/self/mountinfo"


@dataclass(frozen=True, slots=True)
class Mount:
    """Fields 3 to 5 of a line: the device, which folder of it is shown, and where."""

    device: bytes
    root: bytes
    point: bytes


def is_mounted(path: bytes) -> bool:
    """Whether the folder, or one above it other than `/`, is a mount point; links in `path` are followed. Raises OSError."""
    with open(MOUNTINFO, "rb") as lines:
        return lies_on_a_mount(os.path.realpath(path), mounts(lines))


def mounts(lines: Iterable[bytes]) -> list[Mount]:
    """In the order they were made: of several at one place the last is seen."""
    fields = (line.split() for line in lines)
    return [Mount(one[2], _plain(one[3]), _plain(one[4])) for one in fields]


def lies_on_a_mount(path: bytes, known: Iterable[Mount]) -> bool:
    """`path` is absolute. Bind mounts count, but for a folder that is bound onto itself: systemd does that with each of a unit's
    ReadWritePaths, in the service's own view, whether or not anything is mounted there."""
    seen = {mount.point: mount for mount in known}
    top = seen.get(b"/")
    while path != b"/":
        if (mount := seen.get(path)) is not None and not _onto_itself(mount, top):
            return True
        path = os.path.dirname(path)
    return False


def _onto_itself(mount: Mount, top: Mount | None) -> bool:
    return top is not None and mount.device == top.device and mount.root == top.root.rstrip(b"/") + mount.point


def _plain(field: bytes) -> bytes:
    """Space, tab, newline and backslash are written as octal numbers."""
    return field.decode("unicode_escape").encode("latin-1")
