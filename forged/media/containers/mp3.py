"""MP3: the byte count of the Xing or Info header, where there is one (ISO/IEC 11172-3; LAME's "Mp3 Info Tag" revision 1)."""

from __future__ import annotations

from forged.media.containers.reader import Reader
from forged.model.transfer import Wholeness

_ID3_BYTES = 10
_HEADERS = (b"Xing", b"Info")

_FRAME_START_BYTES = 64
"""The header stands 13 to 36 bytes into the first frame, by version and channels."""

_HAS_FRAMES = 1
_HAS_BYTES = 2


def claims(head: bytes) -> bool:
    """An ID3v2 tag of a known version, or a frame header of layer III; both say more than their first letters do."""
    return _is_tag(head) or _is_frame(head)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE or BROKEN by the byte count. Without one nothing announces the end; while ffmpeg writes, the count is 0."""
    head = reader.at(0, _ID3_BYTES)
    start = _ID3_BYTES + _syncsafe(head[6:10]) if _is_tag(head) else 0
    if start >= reader.size_bytes:
        return Wholeness.BROKEN
    frame = reader.at(start, _FRAME_START_BYTES)
    at = max(frame.find(name) for name in _HEADERS)
    if at < 0:
        return Wholeness.UNKNOWN
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    count_at = at + (12 if flags & _HAS_FRAMES else 8)
    count = frame[count_at : count_at + 4]
    if len(count) < 4:
        return Wholeness.BROKEN
    if not flags & _HAS_BYTES or count == bytes(4):
        return Wholeness.UNKNOWN
    return Wholeness.WHOLE if start + int.from_bytes(count, "big") <= reader.size_bytes else Wholeness.BROKEN


def _is_tag(head: bytes) -> bool:
    """ID3v2.2 to 2.4 (id3.org): version, revision below 255, four bytes below 128."""
    return len(head) >= _ID3_BYTES and head[:3] == b"ID3" and 2 <= head[3] <= 4 and head[4] < 0xFF and max(head[6:10]) < 0x80


def _is_frame(head: bytes) -> bool:
    """Eleven ones, a version, layer III, a bit rate and a sample rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2 or head[1] & 0x18 == 0x08:
        return False
    return head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3


def _syncsafe(size: bytes) -> int:
    value = 0
    for byte in size:
        value = value << 7 | byte
    return value
