"""BMP: its size (Microsoft, BITMAPINFOHEADER and BITMAPCOREHEADER). It has no texts."""

from __future__ import annotations

from forged.media.blocks.findings import Findings
from forged.media.containers.reader import Reader

_OLD_HEADER_BYTES = 12
HEADERS_BYTES = frozenset({_OLD_HEADER_BYTES, 40, 52, 56, 64, 108, 124})
"""All there are; with the two letters in front they tell a BMP from a text that begins with BM."""


def claims(head: bytes) -> bool:
    """BM, and the size of a known header."""
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in HEADERS_BYTES


def read(reader: Reader, findings: Findings) -> None:
    """A negative height means that the rows are stored from above."""
    head = reader.at(14, 12)
    if int.from_bytes(head[:4], "little") == _OLD_HEADER_BYTES:
        findings.width, findings.height = int.from_bytes(head[4:6], "little"), int.from_bytes(head[6:8], "little")
    else:
        findings.width = int.from_bytes(head[4:8], "little", signed=True)
        findings.height = abs(int.from_bytes(head[8:12], "little", signed=True))
