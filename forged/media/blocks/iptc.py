"""IPTC-IIM in a JPEG's APP13: captions and keywords (IPTC-NAA IIM 4.2; Adobe, "Photoshop File Formats", image resources)."""

from __future__ import annotations

from collections.abc import Iterator

from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded

_PHOTOSHOP = b"Photoshop 3.0\0"
_RESOURCE = b"8BIM"
_IIM = 0x0404
_APPLICATION = b"\x1c\x02"
"""A tag of record 2, the only one with texts for people."""

_NAMES = {
    5: "ObjectName",
    25: "Keywords",
    40: "SpecialInstructions",
    65: "OriginatingProgram",
    80: "By-line",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    120: "Caption-Abstract",
    122: "Writer-Editor",
}
"""As exiftool calls them."""


def read(segment: bytes, findings: Findings) -> None:
    """The texts of one APP13; another program's segment has none."""
    if segment.startswith(_PHOTOSHOP):
        for resource in _resources(segment, len(_PHOTOSHOP)):
            for number, data in _tags(resource):
                if number in _NAMES:
                    findings.text(f"iptc/{_NAMES[number]}", decoded(data))


def _resources(segment: bytes, at: int) -> Iterator[bytes]:
    """Of the kind that holds IIM: signature, kind, name (padded to even), length, data (padded to even)."""
    while segment[at : at + 4] == _RESOURCE and at + 12 <= len(segment):
        kind = int.from_bytes(segment[at + 4 : at + 6], "big")
        start = at + 6 + (segment[at + 6] + 2 & ~1)
        size = int.from_bytes(segment[start : start + 4], "big")
        if kind == _IIM:
            yield segment[start + 4 : start + 4 + size]
        at = start + 4 + (size + 1 & ~1)


def _tags(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and text of record 2's. A length of more than 32 KiB has a form of its own, which no text in a JPEG needs."""
    at = 0
    while at + 5 <= len(data) and data[at] == _APPLICATION[0]:
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if size > 0x7FFF:
            return
        if data[at + 1] == _APPLICATION[1]:
            yield data[at + 2], data[at + 5 : at + 5 + size]
        at += 5 + size
