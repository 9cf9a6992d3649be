"""The files that no lane has taken yet, and whose turn it is: large and small files, of one fetch and of another, share lanes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from forged.sources.agent.fetching import Fetch, FileFetch
from forged.sources.agent.slices import SLICE_BYTES, Slice

GROUP_FILES = 64
"""Small files asked for at once."""

FILE_BYTES = 8192
"""What a file counts beside its bytes: in the 20 to 60 us that it costs, a lane carries about so much of a large one."""


def work_bytes(parts: Iterable[Slice]) -> int:
    """How much work they are: their bytes, and what each costs beside."""
    return sum([part.size_bytes + FILE_BYTES for part in parts])


@dataclass(slots=True, eq=False)
class _Flow:
    """The small files of a fetch, or the large ones, as they are to be asked for."""

    fetch: Fetch
    units: Iterator[list[Slice]]
    left_bytes: int
    served_bytes: int


class WaitingLine:
    """First come, first served among the small files of a fetch and among its large ones; all these share equally, by work."""

    def __init__(self) -> None:
        self._flows: list[_Flow] = []

    @property
    def work_bytes(self) -> int:
        """How much waits."""
        return sum(flow.left_bytes for flow in self._flows)

    def join(self, fetch: Fetch) -> None:
        small = [file for file in fetch.files if file.wanted_bytes <= SLICE_BYTES]
        large = [file for file in fetch.files if file.wanted_bytes > SLICE_BYTES]
        self._join(fetch, _groups(small), small)
        self._join(fetch, _slices(large), large)

    def _join(self, fetch: Fetch, units: Iterator[list[Slice]], files: Sequence[FileFetch]) -> None:
        """Whoever comes anew begins where the least served of the others is."""
        if files:
            left_bytes = sum(file.wanted_bytes + FILE_BYTES for file in files)
            served_bytes = min((flow.served_bytes for flow in self._flows), default=0)
            self._flows.append(_Flow(fetch, units, left_bytes, served_bytes))

    def leave(self, fetch: Fetch) -> None:
        """Nobody wants its files any more."""
        self._flows = [flow for flow in self._flows if flow.fetch is not fetch]

    def take(self) -> list[Slice]:
        """What to ask for next: a slice of a large file, a file, or a few small ones; nothing when nothing waits."""
        while self._flows:
            flow = min(self._flows, key=lambda flow: flow.served_bytes)
            parts = next(flow.units, None)
            if parts is not None:
                size_bytes = work_bytes(parts)
                flow.served_bytes += size_bytes
                flow.left_bytes = max(0, flow.left_bytes - size_bytes)
                return parts
            self._flows.remove(flow)
        return []


def _groups(files: Iterable[FileFetch]) -> Iterator[list[Slice]]:
    group: list[Slice] = []
    left_bytes = 0
    for file in files:
        if group and (file.wanted_bytes > left_bytes or len(group) == GROUP_FILES):
            yield group
            group = []
        if not group:
            left_bytes = file.fetch.portion_bytes
        group.extend(file.slices())
        left_bytes -= file.wanted_bytes
    if group:
        yield group


def _slices(files: Iterable[FileFetch]) -> Iterator[list[Slice]]:
    for file in files:
        for part in file.slices():
            if file.over:
                break
            yield [part]
