"""Matroska and WebM: the announced size of the segment (RFC 8794: EBML; RFC 9559: Matroska)."""

from __future__ import annotations

from forged.media.containers.reader import Reader, begins
from forged.model.transfer import Wholeness

_MAGIC = b"\x1a\x45\xdf\xa3"
_SEGMENT = 0x1853_8067
_FILLERS = frozenset({0xEC, 0xBF})
"""Void and CRC-32 may stand anywhere."""

_ELEMENTS_BEFORE_SEGMENT = 16
"""RFC 8794 allows fillers there without a bound; writers put none."""


def claims(head: bytes) -> bool:
    """Two bytes are enough: 0x1A is no character of a text."""
    return begins(head, _MAGIC, 2)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE where the segment ends within the file. Its size stays unknown while ffmpeg writes, and for ever in a live stream."""
    position = 0
    for _ in range(_ELEMENTS_BEFORE_SEGMENT):
        head = reader.at(position, 12)
        id_bytes = _width(head)
        size_bytes = _width(head[id_bytes:])
        if not id_bytes or not size_bytes or len(head) < id_bytes + size_bytes:
            return Wholeness.BROKEN  # cut, or zeros that were reserved: no element begins with a zero byte
        kind = int.from_bytes(head[:id_bytes], "big")
        if position and kind != _SEGMENT and kind not in _FILLERS:
            return Wholeness.UNKNOWN
        size = _size(head[id_bytes : id_bytes + size_bytes])
        if size is None:
            return Wholeness.UNKNOWN
        position += id_bytes + size_bytes + size
        if position > reader.size_bytes:
            return Wholeness.BROKEN
        if kind == _SEGMENT:
            return Wholeness.WHOLE
    return Wholeness.UNKNOWN


def _width(number: bytes) -> int:
    """How many bytes a variable-size integer takes, by the leading zeros of its first byte; 0 for none."""
    return 9 - number[0].bit_length() if number and number[0] else 0


def _size(number: bytes) -> int | None:
    """Its value without the marker bit; None for all ones, which means unknown."""
    mask = (1 << 7 * len(number)) - 1
    value = int.from_bytes(number, "big") & mask
    return None if value == mask else value
