"""JPEG XL: boxes for EXIF and XMP, and the size in the codestream's first bits (ISO/IEC 18181-1, annex D; 18181-2)."""

from __future__ import annotations

from forged.media.blocks import exif
from forged.media.blocks.boxes import boxes
from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"

_SIZE_BYTES = 12
"""Marker, and at most 3 + 2 * 32 bits."""

_WIDTH_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def read(reader: Reader, findings: Findings) -> None:
    """A bare codestream has a size and no texts."""
    if reader.at(0, 2) == CODESTREAM:
        _size(findings, reader.at(0, _SIZE_BYTES))
        return
    for box in boxes(reader, 0, reader.size_bytes):
        if box.kind in (b"jxlc", b"jxlp") and findings.width is None:
            _size(findings, reader.at(box.start + (4 if box.kind == b"jxlp" else 0), _SIZE_BYTES))
        elif box.kind in (b"Exif", b"xml "):
            _text(reader, findings, box.kind, box.start, box.end - box.start)
        elif box.kind == b"brob":
            findings.problem(f"jxl: {reader.at(box.start, 4).decode('latin-1').strip()} is compressed with Brotli and was not read")


def _text(reader: Reader, findings: Findings, kind: bytes, start: int, size: int) -> None:
    place = "jxl/EXIF" if kind == b"Exif" else "jxl/xmp"
    if start + size > reader.size_bytes:
        findings.problem(f"{place}: the file ends within it")
    elif findings.admits(place, size):
        data = reader.bulk(start, size)
        if kind == b"Exif":
            exif.read_block(data[4 + int.from_bytes(data[:4], "big") :], findings)
        else:
            findings.text(place, decoded(data))


class _Bits:
    """From the lowest bit of the first byte on."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")

    def next(self, count: int) -> int:
        value = self._bits & (1 << count) - 1
        self._bits >>= count
        return value


def _size(findings: Findings, head: bytes) -> None:
    if len(head) < _SIZE_BYTES or not head.startswith(CODESTREAM):
        return
    bits = _Bits(head[2:])
    is_small = bits.next(1)
    height = _side(bits, is_small)
    ratio = bits.next(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        findings.width, findings.height = height * across // down, height
    else:
        findings.width, findings.height = _side(bits, is_small), height


def _side(bits: _Bits, is_small: int) -> int:
    return 8 * (bits.next(5) + 1) if is_small else bits.next(_WIDTH_BITS[bits.next(2)]) + 1
