"""The watch of the memory twin: what a MemoryBox tells, collected until somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from forged.model.errors import SourceError
from forged.model.files import Entry
from forged.model.paths import SourcePath
from forged.sources.base import Notices
from forged.sources.memory_box import MemoryBox


class MemoryWatch:
    """Listens to a box while its `with` block lasts. `wanted` tells of a path whether it is watched."""

    def __init__(self, box: MemoryBox, wanted: Callable[[SourcePath], bool]) -> None:
        self._box, self._wanted = box, wanted
        self._moved: dict[SourcePath, None] = {}
        self._news = asyncio.Event()
        self._ended: SourceError | None = None

    def __enter__(self) -> Self:
        self._box.listeners.append(self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._box.listeners.remove(self._hear)

    def _hear(self, path: SourcePath) -> None:
        if self._wanted(path):
            self._moved[path] = None
            self._news.set()

    def end(self, error: SourceError) -> None:
        """Whoever listens gets this error."""
        self._ended = error
        self._news.set()

    async def next(self) -> Notices:
        """What moved since the last answer; waits until something has. Raises what ended the watch."""
        await self._news.wait()
        self._news.clear()
        if self._ended is not None:
            raise self._ended
        moved, self._moved = self._moved, {}
        there = tuple(Entry(path, self._box.files[path].stat) for path in moved if path in self._box.files)
        return Notices(there, gone=tuple(path for path in moved if path not in self._box.files))
