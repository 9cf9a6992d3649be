"""Which bytes of a file were written before the ones in front of them."""

from __future__ import annotations

from bisect import bisect_left


class Ahead:
    """Ranges of bytes that do not touch each other, all behind the unbroken beginning. As many as the file has holes."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._starts)

    @property
    def first(self) -> int:
        """Where the first range begins. Only while there is one."""
        return self._starts[0]

    @property
    def end(self) -> int:
        """Where the last range ends; 0 without one."""
        return self._ends[-1] if self._ends else 0

    def is_free(self, start: int, end: int) -> bool:
        """Whether none of these bytes, one at least, is in a range."""
        at = bisect_left(self._starts, start)
        return (at == 0 or self._ends[at - 1] <= start) and (at == len(self._starts) or end <= self._starts[at])

    def add(self, start: int, end: int) -> None:
        """One more range of free bytes; it grows together with those that it touches."""
        at = bisect_left(self._starts, start)
        if at and self._ends[at - 1] == start:
            at -= 1
            start = self._starts.pop(at)
            del self._ends[at]
        if at < len(self._starts) and self._starts[at] == end:
            del self._starts[at]
            end = self._ends.pop(at)
        self._starts.insert(at, start)
        self._ends.insert(at, end)

    def take(self, most_bytes: int) -> int:
        """Takes up to so many bytes from the front of the first range; answers where what was taken ends."""
        start, end = self._starts[0], self._ends[0]
        if end - start > most_bytes:
            self._starts[0] = start + most_bytes
            return start + most_bytes
        del self._starts[0], self._ends[0]
        return end
