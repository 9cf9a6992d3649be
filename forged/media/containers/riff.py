"""RIFF: WebP, WAVE and AVI (Google, "WebP Container Specification"; Microsoft, "Multimedia Programming Interface" 1.0)."""

from __future__ import annotations

from forged.media.containers.reader import Reader, begins
from forged.model.transfer import Wholeness

_FORMS = (b"WEBP", b"WAVE", b"AVI ")

_UNSET = (0, 0xFFFF_FFFF)
"""Sizes of writers that do not know them yet: ffmpeg puts them right when it closes, and a pipe never does. Python's `wave` puts
them right after every call, so its files look whole between two calls; only the quiet time helps there."""


def claims(head: bytes) -> bool:
    """RIFF with a form we know, or cut before it says which. RIFX and RF64 are others."""
    return any(begins(head[:4] + head[8:], b"RIFF" + form, 4) for form in _FORMS)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE where the announced size is there and chunks fill it.

    What follows is welcome after a picture only. WAVE and AVI grow behind a header that is put right at the end, so there it
    means that nothing can be said.
    """
    head = reader.at(0, 12)
    size = int.from_bytes(head[4:8], "little")
    if len(head) < 12 or (size not in _UNSET and 8 + size > reader.size_bytes):
        return Wholeness.BROKEN
    if size in _UNSET:
        return Wholeness.UNKNOWN
    end = 8 + size
    if head[8:] != b"WEBP" and reader.size_bytes > end + end % 2:
        return Wholeness.UNKNOWN
    return _chunks(reader, end)


def _chunks(reader: Reader, end: int) -> Wholeness:
    position = 12
    while position + 8 <= end:
        head = reader.at(position, 8)
        size = int.from_bytes(head[4:], "little")
        if head == bytes(8):
            return Wholeness.BROKEN  # room that was reserved and never written
        if not head[:4].isascii() or (head[:4] == b"data" and size in _UNSET):
            return Wholeness.UNKNOWN
        position += 8 + size + size % 2
    # An odd last chunk may lack its padding byte.
    return Wholeness.WHOLE if position in (end, end + 1) and position > 12 else Wholeness.UNKNOWN
