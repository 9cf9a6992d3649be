"""WebP: RIFF chunks (Google, "WebP Container Specification"; RFC 9649)."""

from __future__ import annotations

from forged.media.blocks import exif
from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader


def read(reader: Reader, findings: Findings) -> None:
    """Chunks up to the announced end, or as far as they lead: EXIF and XMP come after the picture."""
    end = min(8 + int.from_bytes(reader.at(4, 4), "little"), reader.size_bytes)
    position, frames, duration_ms = 12, 0, 0
    while position + 8 <= end and (head := reader.at(position, 8))[:4].isascii() and head != bytes(8):
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if kind in _SIZES:
            _size(findings, kind, reader.at(position + 8, 10))
        elif kind == b"ANMF":
            frames += 1
            duration_ms += int.from_bytes(reader.at(position + 8 + 12, 3), "little")
        elif kind in (b"EXIF", b"XMP "):
            _text(reader, findings, kind, position + 8, size)
        position += 8 + size + size % 2
    findings.moving(frames, duration_ms / 1000)


_SIZES = frozenset({b"VP8X", b"VP8 ", b"VP8L"})


def _size(findings: Findings, kind: bytes, head: bytes) -> None:
    """The canvas of the extended form, or the picture's own where it is the only one."""
    if findings.width is not None or len(head) < 10:
        return
    bits = int.from_bytes(head, "little")
    if kind == b"VP8X":
        findings.width, findings.height = (bits >> 32 & 0xFF_FFFF) + 1, (bits >> 56 & 0xFF_FFFF) + 1
    elif kind == b"VP8L" and head[0] == 0x2F:
        findings.width, findings.height = (bits >> 8 & 0x3FFF) + 1, (bits >> 22 & 0x3FFF) + 1
    elif kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        findings.width, findings.height = bits >> 48 & 0x3FFF, bits >> 64 & 0x3FFF


def _text(reader: Reader, findings: Findings, kind: bytes, start: int, size: int) -> None:
    place = "webp/EXIF" if kind == b"EXIF" else "webp/xmp"
    if start + size > reader.size_bytes:
        findings.problem(f"{place}: the file ends within it")
    elif size and findings.admits(place, size):
        data = reader.bulk(start, size)
        if kind == b"EXIF":
            exif.read_block(data, findings)
        else:
            findings.text(place, decoded(data))
