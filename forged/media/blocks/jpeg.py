"""JPEG: segments up to the first scan (ITU-T T.81; CIPA DC-008 for APP1; Adobe, "XMP Specification Part 3" for XMP and APP13)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from forged.media.blocks import exif, iptc
from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader

_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_FILL, _SCAN, _END, _COMMENT, _APP1, _APP13 = 0xFF, 0xDA, 0xD9, 0xFE, 0xE1, 0xED
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Start of frame in all its kinds; the three between are tables."""

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_GUID_BYTES = 32
_GUID = re.compile(rb"HasExtendedXMP\s{0,9}(?:=\s{0,9}[\"']|>)\s{0,9}([0-9A-F]{32})")


@dataclass(slots=True)
class _Parts:
    """What may be spread over several segments."""

    exif: list[bytes] = field(default_factory=list)
    xmp: bytes = b""
    more_xmp: dict[int, bytes] = field(default_factory=dict)
    """By offset in the whole."""
    more_xmp_of: bytes = b""


def read(reader: Reader, findings: Findings) -> None:
    """Segments up to the first scan, or as far as they lead."""
    parts = _Parts()
    for marker, start, size in _segments(reader, findings):
        if marker in _FRAMES:
            sides = reader.at(start + 1, 4)
            findings.height, findings.width = int.from_bytes(sides[:2], "big"), int.from_bytes(sides[2:], "big")
        elif marker in (_COMMENT, _APP1, _APP13):
            findings.charge(size)
            _segment(findings, parts, marker, reader.at(start, size))
    _joined(findings, parts)


def _segments(reader: Reader, findings: Findings) -> Iterator[tuple[int, int, int]]:
    """Marker, where its data begins, and their size."""
    position = 2
    while len(head := reader.at(position, 4)) >= 2 and head[0] == 0xFF and head[1] not in (_SCAN, _END):
        length = int.from_bytes(head[2:], "big")
        if head[1] == _FILL or head[1] in _WITHOUT_LENGTH:
            position += 1 if head[1] == _FILL else 2
        elif length < 2:
            return
        elif position + 2 + length > reader.size_bytes:
            findings.problem("jpeg: the file ends within a segment")
            return
        else:
            yield head[1], position + 4, length - 2
            position += 2 + length


def _segment(findings: Findings, parts: _Parts, marker: int, data: bytes) -> None:
    if marker == _COMMENT:
        findings.text("jpeg/comment", decoded(data))
    elif marker == _APP13:
        iptc.read(data, findings)
    elif data.startswith(_EXIF):
        parts.exif.append(data.removeprefix(_EXIF))
    elif data.startswith(_XMP):
        parts.xmp = parts.xmp or data.removeprefix(_XMP)
        named = _GUID.search(parts.xmp)
        parts.more_xmp_of = named[1] if named else b""
    elif data.startswith(_MORE_XMP):
        _more_xmp(parts, data.removeprefix(_MORE_XMP))


def _more_xmp(parts: _Parts, data: bytes) -> None:
    """A piece of a packet that is too large for one segment: GUID, length of the whole, offset, bytes."""
    if data[:_GUID_BYTES] == parts.more_xmp_of:
        parts.more_xmp[int.from_bytes(data[_GUID_BYTES + 4 : _GUID_BYTES + 8], "big")] = data[_GUID_BYTES + 8 :]


def _joined(findings: Findings, parts: _Parts) -> None:
    """EXIF over 64 KiB goes on in further segments, which do not begin as TIFF does."""
    first, *more = parts.exif or [b""]
    if first:
        exif.read_block(first + b"".join(data for data in more if data[:4] not in (b"II*\0", b"MM\0*")), findings)
    findings.text("jpeg/xmp", decoded(parts.xmp))
    if parts.more_xmp:
        findings.text("jpeg/extended/xmp", decoded(b"".join(data for _, data in sorted(parts.more_xmp.items()))))
