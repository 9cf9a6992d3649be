"""WAVE: how long it sounds, and what its INFO list says (Microsoft, "Multimedia Programming Interface"; EBU Tech 3306: RF64).

Not left to FFmpeg, which goes through gigabytes of zeros in steps of eight bytes in search of the sound.
"""

from __future__ import annotations

from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader

_NAMES = {
    b"IART": "artist",
    b"ICMT": "comment",
    b"ICOP": "copyright",
    b"ICRD": "date",
    b"IGNR": "genre",
    b"INAM": "title",
    b"IPRD": "album",
    b"ISFT": "encoder",
}
"""As FFmpeg calls them."""

_UNSET = 0xFFFF_FFFF
"""The size of RF64's data, which says its own elsewhere, and of a writer that never came back to put it in."""


def read(reader: Reader, findings: Findings) -> None:
    """Chunks up to the end of the file, or as far as they lead."""
    position, bytes_a_second = 12, 0
    while len(head := reader.at(position, 12)) >= 8 and head[:4].isascii() and head[:4] != bytes(4):
        size, start = int.from_bytes(head[4:8], "little"), position + 8
        if head[:4] == b"fmt ":
            bytes_a_second = int.from_bytes(reader.at(start + 8, 4), "little")
        elif head[:4] == b"data":
            size = min(size, reader.size_bytes - start) if size != _UNSET else reader.size_bytes - start
            findings.duration_s = size / bytes_a_second if bytes_a_second else None
        elif head == b"LIST" + head[4:8] + b"INFO":
            _information(reader, findings, start, size)
        position = start + size + size % 2


def _information(reader: Reader, findings: Findings, start: int, size: int) -> None:
    if start + size > reader.size_bytes:
        findings.problem("wav/INFO: the file ends within it")
    elif findings.admits("wav/INFO", size):
        data, at = reader.bulk(start, size), 4
        while at + 8 <= len(data):
            kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            findings.text(f"wav/{_NAMES.get(kind) or decoded(kind)}", decoded(data[at + 8 : at + 8 + length]))
            at += 8 + length + length % 2
