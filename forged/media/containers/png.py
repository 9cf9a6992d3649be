"""PNG and APNG: chunks up to IEND (W3C PNG third edition, section 5)."""

from __future__ import annotations

from forged.media.containers.reader import Reader, begins
from forged.model.transfer import Wholeness

_MAGIC = b"\x89PNG\r\n\x1a\n"

_END = b"\0\0\0\0IEND\xaeB`\x82"
"""The IEND chunk with its checksum: always the same twelve bytes."""

_FRAME_BYTES = 12
"""Length, type and checksum around a chunk's data."""


def claims(head: bytes) -> bool:
    """Two bytes are enough: 0x89 begins no text."""
    return begins(head, _MAGIC, 2)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE with a complete IEND chunk, whatever follows. Where the chunks lead nowhere, the file's last bytes decide."""
    position = len(_MAGIC)
    while len(head := reader.at(position, 8)) == 8 and head[4:].isalpha():
        position += _FRAME_BYTES + int.from_bytes(head[:4], "big")
        if position > reader.size_bytes:
            break
        if head[4:] == b"IEND":
            return Wholeness.WHOLE
    return Wholeness.UNKNOWN if reader.tail(len(_END)) == _END else Wholeness.BROKEN
