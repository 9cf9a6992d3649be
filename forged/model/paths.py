"""Paths as bytes. A name at the source is whatever the box says it is, so it stays bytes from end to end.

`SourcePath` and `HomePath` are made only by `source_path`, `home_path` and `below`: whoever holds one may rely on it being
relative, normal and free of NUL, which is what keeps a hostile listing inside the destination.
"""

from __future__ import annotations

import binascii
from typing import NewType

from forged.model.errors import BadPath

SourcePath = NewType("SourcePath", bytes)
"""Relative to the source's root, `/` between components. Ascending byte order is the order of every listing."""

HomePath = NewType("HomePath", bytes)
"""Relative to the destination, `/` between components: the final name of a file at home."""

MAX_PATH_BYTES = 4096
"""PATH_MAX of Linux (limits.h); a longer path could not be opened at the source in one call, so it is a lie."""

MAX_COMPONENT_BYTES = 255
"""NAME_MAX of every file system in common use (ext4, xfs, btrfs, zfs, ntfs by UTF-16 units)."""


def _checked(raw: bytes) -> bytes:
    if not raw or len(raw) > MAX_PATH_BYTES or b"\0" in raw:
        raise BadPath(f"not a usable path: {shown(raw[:200])!r}")
    for part in raw.split(b"/"):
        if part in (b"", b".", b"..") or len(part) > MAX_COMPONENT_BYTES:
            raise BadPath(f"not a usable path: {shown(raw[:200])!r}")
    return raw


def source_path(raw: bytes) -> SourcePath:
    """The path, if it is relative, normal and of possible length. Raises BadPath (`..`, absolute, empty parts, NUL, too long)."""
    return SourcePath(_checked(raw))


def home_path(raw: bytes) -> HomePath:
    """As `source_path`, for a place below the destination. Raises BadPath."""
    return HomePath(_checked(raw))


def below(folder: bytes, name: bytes) -> HomePath:
    """A name in a folder at home: as `home_path`, where `folder` is a HomePath already, or empty for the destination itself.

    Raises BadPath.
    """
    if not 0 < len(name) <= MAX_COMPONENT_BYTES or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise BadPath(f"not a usable name: {shown(name[:200])!r}")
    if len(folder) + 1 + len(name) > MAX_PATH_BYTES:
        raise BadPath(f"not a usable path: {shown(folder[:200])!r}")
    return HomePath(folder + b"/" + name if folder else name)


def shown(raw: bytes) -> str:
    r"""For people and logs: UTF-8 where it is, everything a terminal would obey escaped (`\n`, `\x1b`, `\udc80` -> `\x80`)."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def b64_if_needed(raw: bytes) -> str | None:
    """The `path_b64` of the interfaces: base64 where `raw` is not UTF-8, otherwise None."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return binascii.b2a_base64(raw, newline=False).decode("ascii")
    return None
