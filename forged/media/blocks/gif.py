"""GIF: comments, the size of the screen, frames and their delays (CompuServe, GIF89a specification; Adobe, XMP part 3, for XMP)."""

from __future__ import annotations

from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.gif import after_sub_blocks, colour_table_bytes
from forged.media.containers.reader import MAX_READ_BYTES, Reader

_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF
_XMP = b"\x0bXMP DataXMP"

_TRAIL = b"\x01\xff\xfe"
"""After an XMP packet come 258 bytes that lead every reader of sub-blocks to the end; they begin so."""


def read(reader: Reader, findings: Findings) -> None:
    """Blocks up to the trailer, or as far as they lead."""
    screen = reader.at(0, 13)
    if len(screen) < 13:
        return
    findings.width, findings.height = int.from_bytes(screen[6:8], "little"), int.from_bytes(screen[8:10], "little")
    walk = _Walk(reader, findings)
    position: int | None = 13 + colour_table_bytes(screen[10])
    while position is not None:
        position = walk.after(position)
    findings.moving(walk.frames, walk.duration_cs / 100)


class _Walk:
    """From block to block."""

    def __init__(self, reader: Reader, findings: Findings) -> None:
        self._reader = reader
        self._findings = findings
        self.frames = 0
        self.duration_cs = 0

    def after(self, position: int) -> int | None:
        """Reads the block that begins here; where the next one does, None for the end."""
        head = self._reader.at(position, 14)
        if len(head) < 11:
            return None
        if head[0] == _IMAGE:
            self.frames += 1
            return self._skipped(position + 11 + colour_table_bytes(head[9]))
        if head[0] != _EXTENSION:
            return None
        if head[1] == _CONTROL and head[2] >= 4:
            self.duration_cs += int.from_bytes(head[4:6], "little")
        elif head[1] == _COMMENT:
            return self._comment(position + 2)
        elif head[1] == _APPLICATION and head[2:].startswith(_XMP):
            return self._xmp(position + 2 + len(_XMP))
        return self._skipped(position + 2)

    def _comment(self, position: int) -> int | None:
        data, after = self._joined(position)
        self._findings.text("gif/comment", decoded(data))
        return after

    def _xmp(self, position: int) -> int | None:
        """The packet stands there as it is; its bytes only happen to be sub-blocks."""
        after = self._skipped(position)
        if after is not None and self._findings.admits("gif/xmp", after - position):
            packet, _, _ = self._reader.bulk(position, after - position).rpartition(_TRAIL)
            self._findings.text("gif/xmp", decoded(packet))
        return after

    def _joined(self, position: int) -> tuple[bytes, int | None]:
        """The bytes of sub-blocks, and where they end; empty where the file ends before, or where they are too many."""
        after = self._skipped(position)
        if after is None:
            self._findings.problem("gif/comment: the file ends within it")
        if after is None or not self._findings.admits("gif/comment", after - position):
            return b"", after
        block, pieces, at = self._reader.bulk(position, after - position), [], 0
        while at < len(block) and block[at]:
            pieces.append(block[at + 1 : at + 1 + block[at]])
            at += 1 + block[at]
        return b"".join(pieces), after

    def _skipped(self, position: int) -> int | None:
        return after_sub_blocks(self._reader, position, MAX_READ_BYTES)
