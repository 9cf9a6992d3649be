"""Resuming a broken transfer: under which name a file's bytes wait, and how many of those already there count."""

from __future__ import annotations

import hashlib

from forged.model.files import Entry


def staging_name(entry: Entry) -> str:
    """Where the bytes of this entry wait: the same for the same path and content-as-seen, so that a broken transfer is found again.

    128 bits of sha256 over path, size, mtime and inode; another file under the same name gets another staging name.
    """
    stat = entry.stat
    seen = b"%b\0%d\0%d\0%d" % (entry.path, stat.size_bytes, stat.mtime_ns, stat.inode or 0)
    return hashlib.sha256(seen).hexdigest()[:32]


def offset_bytes(entry: Entry, staged_bytes: int) -> int:
    """From where to fetch. More staged than the file is long cannot be its beginning: then it comes from the start."""
    return staged_bytes if staged_bytes <= entry.stat.size_bytes else 0
