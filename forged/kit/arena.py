"""Memory shared with another process: what is written here is read there, without a copy through the kernel."""

from __future__ import annotations

import bisect
import mmap
import os
from collections.abc import Iterable
from typing import TypeAlias

Extent: TypeAlias = tuple[int, int]
"""Where bytes lie: from where on, and how many."""


class Arena:
    """A piece of memory, given out in extents. The lowest free one is taken, so that the memory that is touched stays little."""

    def __init__(self, size_bytes: int) -> None:
        """Takes address space; memory only where something was written. Raises OSError."""
        self.fd = os.memfd_create("forged", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size_bytes)
        self._view = memoryview(mmap.mmap(self.fd, size_bytes))
        self._free: list[Extent] = [(0, size_bytes)]

    def put(self, chunks: Iterable[bytes | memoryview], size_bytes: int) -> Extent | None:
        """Copies chunks of so many bytes in all behind each other; None where there is no room for them."""
        start = self._take(size_bytes)
        if start is None:
            return None
        at = start
        for chunk in chunks:
            end = at + len(chunk)
            self._view[at:end] = chunk
            at = end
        return start, size_bytes

    def _take(self, size_bytes: int) -> int | None:
        for number, (start, free_bytes) in enumerate(self._free):
            if free_bytes > size_bytes:
                self._free[number] = (start + size_bytes, free_bytes - size_bytes)
                return start
            if free_bytes == size_bytes:
                del self._free[number]
                return start
        return None

    def give(self, extent: Extent) -> None:
        """Nobody needs what lies there any more."""
        start, size_bytes = extent
        if not size_bytes:
            return
        number = bisect.bisect(self._free, extent)
        if number < len(self._free) and self._free[number][0] == start + size_bytes:
            size_bytes += self._free.pop(number)[1]
        if number and sum(self._free[number - 1]) == start:
            number -= 1
            start, before_bytes = self._free.pop(number)
            size_bytes += before_bytes
        self._free.insert(number, (start, size_bytes))

    @property
    def free_bytes(self) -> int:
        """In all; not in one piece."""
        return sum(size_bytes for _, size_bytes in self._free)

    def close(self) -> None:
        """The memory goes when the other process lets go of it, too."""
        self._view.release()
        os.close(self.fd)


def opened(fd: int) -> memoryview:
    """The same memory in the other process."""
    return memoryview(mmap.mmap(fd, os.fstat(fd).st_size))
