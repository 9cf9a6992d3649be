"""GIF: blocks up to the trailer (CompuServe, GIF89a specification)."""

from __future__ import annotations

from forged.media.containers.reader import WINDOW_BYTES, Reader, begins
from forged.model.transfer import Wholeness

_TRAILER = 0x3B
_EXTENSION = 0x21
_IMAGE = 0x2C

_SUB_BLOCKS_A_STEP = 8
"""Stepping over sub-blocks in memory is that much cheaper than a read: the budget suffices for a GIF of 500 MB."""


def claims(head: bytes) -> bool:
    """Four bytes at least: fewer are a word of a text."""
    return begins(head, b"GIF87a", 4) or begins(head, b"GIF89a", 4)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE with the trailer reached block by block, whatever follows. Where the blocks lead nowhere, the last byte decides."""
    screen = reader.at(0, 13)
    if len(screen) < 13:
        return Wholeness.BROKEN
    position: int | None = 13 + colour_table_bytes(screen[10])
    while position is not None and position < reader.size_bytes:
        kind = reader.at(position, 1)
        if kind == bytes([_TRAILER]):
            return Wholeness.WHOLE
        position = _after_block(reader, position, kind)
    return Wholeness.UNKNOWN if position is None and reader.tail(1) == bytes([_TRAILER]) else Wholeness.BROKEN


def colour_table_bytes(flags: int) -> int:
    """How long the colour table is that these flags of a screen or an image announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_block(reader: Reader, position: int, kind: bytes) -> int | None:
    """Where the next block begins, at or beyond the end of a file that is cut; None for no block at all."""
    if kind == bytes([_EXTENSION]):
        after = after_sub_blocks(reader, position + 2)
    elif kind == bytes([_IMAGE]):
        flags = reader.at(position + 9, 1)
        after = after_sub_blocks(reader, position + 11 + colour_table_bytes(flags[0])) if flags else None
    else:
        return None
    return reader.size_bytes if after is None else after


def after_sub_blocks(reader: Reader, position: int, window_bytes: int = WINDOW_BYTES) -> int | None:
    """Where the sub-blocks end that begin here; None where the file ends within them. Reads `window_bytes` at a time."""
    while window := reader.at(position, window_bytes):
        at, blocks = 0, 0
        while at < len(window):
            size = window[at]
            at += 1 + size
            blocks += 1
            if size == 0:
                return position + at
        reader.spend(blocks // _SUB_BLOCKS_A_STEP)
        position += at
    return None
