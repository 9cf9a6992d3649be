"""Ogg: pages until every logical stream has ended (RFC 3533)."""

from __future__ import annotations

from dataclasses import dataclass

from forged.media.containers.reader import MAX_READ_BYTES, Reader, begins
from forged.model.transfer import Wholeness

_MAGIC = b"OggS"
_HEADER_BYTES = 27
_BEGINS = 0x02
_ENDS = 0x04

_MAX_STREAMS = 256
"""Streams open at once; a film has two or three. More would be a file that wants our memory."""


@dataclass(frozen=True, slots=True)
class _Page:
    size_bytes: int
    flags: int
    serial: bytes


def claims(head: bytes) -> bool:
    """All four bytes: fewer are a word of a text."""
    return begins(head, _MAGIC, 4)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE where pages lead to the end of every stream that began. Where they lead nowhere, the last page decides."""
    running: set[bytes] = set()
    position = 0
    while position < reader.size_bytes:
        page = _page(reader.at(position, _HEADER_BYTES + 255))
        if page is None:
            return _lost(reader, bool(running) or position == 0)
        position += page.size_bytes
        if position > reader.size_bytes:
            return Wholeness.BROKEN
        running = running - {page.serial} if page.flags & _ENDS else running | {page.serial}
        if len(running) > _MAX_STREAMS:
            return Wholeness.UNKNOWN
    return Wholeness.BROKEN if running else Wholeness.WHOLE


def _page(head: bytes) -> _Page | None:
    """The page that begins here; None where none does, or its header is cut."""
    if not head.startswith(_MAGIC) or len(head) < _HEADER_BYTES:
        return None
    lacing = head[_HEADER_BYTES : _HEADER_BYTES + head[26]]
    if len(lacing) < head[26]:
        return None
    return _Page(_HEADER_BYTES + len(lacing) + sum(lacing), head[5], head[14:18])


def _lost(reader: Reader, is_running: bool) -> Wholeness:
    """No page where one should be: bytes after the end of all streams are no harm; otherwise look whether there is an end."""
    if not is_running:
        return Wholeness.WHOLE
    tail = reader.tail(MAX_READ_BYTES)
    start = max(tail.rfind(_MAGIC), 0)
    page = _page(tail[start:])
    ends = page is not None and page.flags & _ENDS and start + page.size_bytes == len(tail)
    return Wholeness.UNKNOWN if ends else Wholeness.BROKEN
