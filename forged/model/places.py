"""Where a folder really is: links and mounts give one folder many names, and it must come home once."""

from __future__ import annotations

from msgspec import Struct


class Place(Struct, frozen=True, gc=False):
    """A folder of a source, found through all links that lead to it."""

    path: bytes
    """Absolute and free of links, as the source resolved it."""
    identity: tuple[int, int] | None = None
    """Device and inode, the same for every way that leads there; None where a source does not tell them (SFTP)."""
