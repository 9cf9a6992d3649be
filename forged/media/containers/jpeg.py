"""JPEG: segments up to the first scan, then the end-of-image marker (ITU-T T.81, annex B)."""

from __future__ import annotations

from forged.media.containers.reader import MAX_READ_BYTES, Reader, begins
from forged.model.transfer import Wholeness

_MAGIC = b"\xff\xd8\xff"
_IMAGE = b"\xff\xd8"
_END = b"\xff\xd9"

_FILL = 0xFF
_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
"""TEM and RST0 to RST7 stand alone; every other marker before the scan has a length."""


def claims(head: bytes) -> bool:
    """Two bytes are enough: 0xFF begins no text but UTF-16, which goes on with 0xFE."""
    return begins(head, _MAGIC, 2)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE with an end-of-image marker after the first scan, whatever follows.

    Only after the scan: a preview within the EXIF segment has an end of its own. In the scan itself 0xFFD9 cannot occur, since
    0xFF is stuffed there. Pictures that follow directly (MPF, gain maps) have to end, too.
    """
    start = 0
    while True:
        scan = _first_scan(reader, start)
        if scan is None:
            return _by_its_tail(reader)
        end = reader.find(_END, scan)
        if end is None:
            return Wholeness.BROKEN
        start = end + len(_END)
        if reader.at(start, len(_IMAGE)) != _IMAGE:
            return Wholeness.WHOLE


def _first_scan(reader: Reader, start: int) -> int | None:
    """Where the first scan's header ends; None where the segments end or lead nowhere."""
    position = start + len(_IMAGE)
    while len(head := reader.at(position, 4)) == 4 and head[0] == 0xFF:
        length = int.from_bytes(head[2:], "big")
        if head[1] == _FILL:
            position += 1
        elif head[1] in _WITHOUT_LENGTH:
            position += 2
        elif length < 2:
            return None
        else:
            position += 2 + length
            if head[1] == _SCAN:
                return position
    return None


def _by_its_tail(reader: Reader) -> Wholeness:
    ends = reader.tail(MAX_READ_BYTES).rstrip(b"\0").endswith(_END)
    return Wholeness.UNKNOWN if ends else Wholeness.BROKEN
