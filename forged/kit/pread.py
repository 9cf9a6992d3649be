"""Reading a file by its descriptor without moving its position, which others may share."""

from __future__ import annotations

import io
import os

from typing_extensions import Buffer


def read_all(fd: int, size_bytes: int, most_bytes: int) -> bytes:
    """All of a small file. Raises OSError, also where it has more than `most_bytes`."""
    if size_bytes > most_bytes:
        raise OSError(27, f"it has more than {most_bytes} bytes")
    return io.BufferedReader(PreadFile(fd, size_bytes)).read()


class PreadFile(io.RawIOBase):
    """A file for libraries that want one to read and seek in. It ends at `size_bytes` or earlier; closing it closes nothing."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self._fd = fd
        self._size_bytes = size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)[: max(self._size_bytes - self._at, 0)]
        count = os.preadv(self._fd, [view], self._at) if view else 0
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at
