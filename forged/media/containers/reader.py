"""Bounded reading for all containers: small reads, a budget of steps, nothing beyond the announced size."""

from __future__ import annotations

import os

HEAD_BYTES = 64
"""What the families are told apart by; the longest magic is 12 bytes."""

MAX_READ_BYTES = 65_536
"""The most that `at` and `tail` return. An Ogg page, the largest thing read at once, has at most 65,307 bytes (RFC 3533)."""

WINDOW_BYTES = 4_096
"""Read at once around a header, so that small neighbours cost no further call. One page of every file system in use."""

MAX_BULK_BYTES = 17 << 20
"""The most that `bulk` returns: the largest text that `media.blocks` takes, in UTF-16, and what stands around it."""

MAX_STEPS = 250_000
"""Looks at one file before its length is beyond judging: half a second, or one for a search, measured on two cores. A film has
some dozens, a PNG of 1 GB in the usual 64 KiB chunks 16,000. A hostile PNG of 80 million empty chunks ends here."""

_FIND_BYTES = 1 << 20
_FIND_STEPS = 256
"""`find` reads 1 MiB at a time and pays for as many windows: about 1 GB can be searched."""


class OutOfSteps(Exception):
    """The file makes more steps than MAX_STEPS: whether it is whole cannot be said. Caught by `media.completeness`."""


class Reader:
    """A file by its descriptor, read with pread only: neither the descriptor's position nor its owner matters.

    The file ends at `size_bytes`, or earlier where it is shorter than that. Everything here may raise OSError (a disk in
    trouble), and every read OutOfSteps.
    """

    def __init__(self, fd: int, size_bytes: int, beginning: bytes = b"") -> None:
        """`beginning`: the first bytes, where they are at hand. A small file is judged by them without a system call."""
        self.size_bytes = size_bytes if len(beginning) >= size_bytes else min(size_bytes, os.fstat(fd).st_size)
        self.fd = fd
        self._steps = 0
        self._window = beginning
        self._window_at = 0

    def at(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on, fewer only at the end of the file or over MAX_READ_BYTES. One step."""
        self.spend(1)
        count = max(min(count, MAX_READ_BYTES, self.size_bytes - offset), 0)
        if not self._is_at_hand(offset, count):
            self._window = self._read(offset, max(count, WINDOW_BYTES))
            self._window_at = offset
        start = offset - self._window_at
        return self._window[start : start + count]

    def bulk(self, offset: int, count: int) -> bytes:
        """As `at`, for a block that is wanted whole: up to MAX_BULK_BYTES, and a step for each window of it."""
        count = max(min(count, MAX_BULK_BYTES, self.size_bytes - offset), 0)
        self.spend(1 + count // WINDOW_BYTES)
        return self._read(offset, count)

    def tail(self, count: int) -> bytes:
        """The last `count` bytes, fewer if the file or MAX_READ_BYTES is smaller. One step."""
        count = min(count, self.size_bytes, MAX_READ_BYTES)
        return self.at(self.size_bytes - count, count)

    def find(self, needle: bytes, start: int) -> int | None:
        """Where `needle` is found first, from `start` on; None where it is not. Reads everything on the way."""
        while start < self.size_bytes:
            self.spend(_FIND_STEPS)
            block = self._read(start, _FIND_BYTES)
            if (found := block.find(needle)) >= 0:
                return start + found
            if len(block) < _FIND_BYTES:
                return None
            start += len(block) - len(needle) + 1
        return None

    def spend(self, steps: int) -> None:
        """Counts work done elsewhere on this file's behalf. Raises OutOfSteps."""
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise OutOfSteps

    def _is_at_hand(self, offset: int, count: int) -> bool:
        return self._window_at <= offset and offset + count <= self._window_at + len(self._window)

    def _read(self, offset: int, count: int) -> bytes:
        count = max(min(count, self.size_bytes - offset), 0)
        if self._is_at_hand(offset, count):
            start = offset - self._window_at
            return self._window[start : start + count]
        return os.pread(self.fd, count, offset) if count else b""


def begins(head: bytes, magic: bytes, least_bytes: int) -> bool:
    """Whether a file begins with `magic`, or was cut within it after at least `least_bytes`."""
    return len(head) >= least_bytes and (head.startswith(magic) or magic.startswith(head))
