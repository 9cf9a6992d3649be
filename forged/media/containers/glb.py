"""Binary glTF: the length in its header (Khronos, glTF 2.0, section 4.4). ComfyUI's 3D nodes write it."""

from __future__ import annotations

from forged.media.containers.reader import Reader, begins
from forged.model.transfer import Wholeness

_HEADER_BYTES = 12


def claims(head: bytes) -> bool:
    """The magic, and version 1 or 2: `glTF` alone may begin a text."""
    return begins(head, b"glTF\x01\0\0\0", 5) or begins(head, b"glTF\x02\0\0\0", 5)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE where the announced length is there, whatever follows. A length of less than the header is not set yet."""
    length = int.from_bytes(reader.at(8, 4), "little")
    if reader.size_bytes < max(length, _HEADER_BYTES):
        return Wholeness.BROKEN
    return Wholeness.WHOLE if length >= _HEADER_BYTES else Wholeness.UNKNOWN
