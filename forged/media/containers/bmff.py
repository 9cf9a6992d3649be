"""ISO base media: MP4, MOV, AVIF, HEIC (ISO/IEC 14496-12: boxes; 23008-12: pictures)."""

from __future__ import annotations

from dataclasses import dataclass

from forged.media.containers.reader import Reader, begins
from forged.model.transfer import Wholeness

_INDEXES = frozenset({b"moov", b"meta"})
_NOTED = _INDEXES | {b"mdat", b"moof", b"mfra"}


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    header_bytes: int
    size_bytes: int
    """0 = to the end of the file."""


def claims(head: bytes) -> bool:
    """`ftyp` after a size below 64 KiB. Older QuickTime files begin otherwise and stay unknown."""
    return head.startswith(b"\0\0") and begins(head[4:], b"ftyp", 1)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE where boxes tile the file and both index (`moov` or `meta`) and data are there.

    ffmpeg writes `moov` last; its `+faststart` then shifts the data and writes `moov` in front of it. Until that is done, boxes
    do not tile the file, or the inside of `moov` is still what lay there before. Fragments end only by their `mfra`.
    """
    seen: set[bytes] = set()
    position = 0
    while position < reader.size_bytes:
        box = _box(reader, position)
        if box is None:
            return Wholeness.UNKNOWN if _has_both(seen) else Wholeness.BROKEN
        if box.size_bytes == 0:  # without an end of its own; ffmpeg's mdat, too, while it is being written
            return Wholeness.UNKNOWN if seen & _INDEXES else Wholeness.BROKEN
        if position + box.size_bytes > reader.size_bytes:
            return Wholeness.BROKEN
        if box.kind == b"moov" and not _tiled(reader, position + box.header_bytes, position + box.size_bytes):
            return Wholeness.UNKNOWN
        seen |= _NOTED & {box.kind}
        position += box.size_bytes
    return _verdict(seen)


def _verdict(seen: set[bytes]) -> Wholeness:
    if not seen & _INDEXES:
        return Wholeness.BROKEN
    if not _has_both(seen) or (b"moof" in seen and b"mfra" not in seen):
        return Wholeness.UNKNOWN
    return Wholeness.WHOLE


def _has_both(seen: set[bytes]) -> bool:
    return b"mdat" in seen and bool(seen & _INDEXES)


def _tiled(reader: Reader, position: int, end: int) -> bool:
    while position < end:
        box = _box(reader, position)
        if box is None or box.size_bytes == 0:
            return False
        position += box.size_bytes
    return position == end


def _box(reader: Reader, position: int) -> _Box | None:
    """The box that begins here; None where none can begin."""
    head = reader.at(position, 16)
    kind, header_bytes, size = head[4:8], 8, int.from_bytes(head[:4], "big")
    if size == 1:
        header_bytes, size = 16, int.from_bytes(head[8:16], "big")
    if len(head) < header_bytes or 0 < size < header_bytes or not _is_kind(kind):
        return None
    return _Box(kind, header_bytes, size)


def _is_kind(kind: bytes) -> bool:
    """Four printable characters; Apple's begin with the copyright sign (0xA9)."""
    return len(kind) == 4 and all(0x20 <= c < 0x7F or c == 0xA9 for c in kind)
