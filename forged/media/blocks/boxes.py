"""Boxes of ISO base media and of JPEG XL, and numbers out of them (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forged.media.containers.reader import Reader


@dataclass(frozen=True, slots=True)
class Box:
    """`start` and `end` of what is inside; the end may lie beyond that of a file that is cut."""

    kind: bytes
    start: int
    end: int


def boxes(reader: Reader, start: int, end: int) -> Iterator[Box]:
    """The boxes from `start` to `end`, as far as they lead."""
    while start + 8 <= min(end, reader.size_bytes):
        head = reader.at(start, 16)
        header_bytes, size = 8, int.from_bytes(head[:4], "big")
        if size == 1:
            header_bytes, size = 16, int.from_bytes(head[8:16], "big")
        size = size or end - start  # 0: up to the end
        if size < header_bytes:
            return
        yield Box(head[4:8], start + header_bytes, start + size)
        start += size


class Numbers:
    """Bytes that are read from front to back. Everything raises EOFError at their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next(self, count: int) -> int:
        """The next number of so many bytes, big-endian; 0 for no bytes."""
        return int.from_bytes(self.take(count), "big")

    def take(self, count: int) -> bytes:
        """The next so many bytes."""
        data = self._data[self._at : self._at + count]
        if len(data) < count:
            raise EOFError
        self._at += count
        return data

    def string(self) -> bytes:
        """The next bytes up to a NUL, or to the end."""
        end = self._data.find(b"\0", self._at)
        data = self._data[self._at : end if end >= 0 else None]
        self._at = min(self._at + len(data) + 1, len(self._data))
        return data
