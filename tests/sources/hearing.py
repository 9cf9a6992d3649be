"""How the tests of sources listen to a watch: in the background, with everything kept that was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

from forged.model.errors import SourceError
from forged.model.files import Entry
from forged.model.paths import source_path
from forged.sources.base import Notices, Source

PATIENCE_S = 30.0
"""Until a test gives up; what is waited for takes milliseconds."""


class Heard:
    """What a watch told so far."""

    def __init__(self) -> None:
        self.all: list[Notices] = []
        self.closed: dict[bytes, Entry] = {}
        self.found: dict[bytes, Entry] = {}
        self.gone: set[bytes] = set()
        self.overflows = 0
        self.error: SourceError | None = None
        self._more = asyncio.Event()

    def take(self, notices: Notices) -> None:
        self.all.append(notices)
        self.closed |= {entry.path: entry for entry in notices.entries}
        self.found |= {entry.path: entry for entry in notices.found}
        self.gone |= set(notices.gone)
        self.overflows += notices.overflow
        self._more.set()

    def end(self, error: SourceError) -> None:
        self.error = error
        self._more.set()

    @property
    def there(self) -> dict[bytes, Entry]:
        return self.found | self.closed

    @property
    def paths(self) -> set[bytes]:
        """Every path that was told in any way."""
        return {*self.there, *self.gone}

    async def until(self, done: Callable[[], object]) -> None:
        """Returns once `done` answers something true; it is asked after every answer of the watch."""
        async with asyncio.timeout(PATIENCE_S):
            while not done():
                if self.error is not None:
                    raise self.error
                self._more.clear()
                await self._more.wait()

    async def entry(self, entry: Entry) -> None:
        """Returns once this file was told, looking as it does here."""
        await self.until(lambda: entry in (self.closed.get(entry.path), self.found.get(entry.path)))

    async def the_end(self) -> SourceError:
        """Why the watch ended."""
        async with asyncio.timeout(PATIENCE_S):
            while self.error is None:
                self._more.clear()
                await self._more.wait()
        return self.error


@asynccontextmanager
async def hearing(source: Source, folders: Sequence[bytes] = ()) -> AsyncIterator[Heard]:
    """Listens while the block lasts; the watch is in place when it begins."""
    heard = Heard()
    task = asyncio.create_task(_listen(source, folders, heard))
    try:
        await heard.until(lambda: heard.all)
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.result() is None


async def _listen(source: Source, folders: Sequence[bytes], heard: Heard) -> None:
    try:
        async with aclosing(source.watch([source_path(folder) for folder in folders])) as answers:
            async for notices in answers:
                heard.take(notices)
    except SourceError as error:
        heard.end(error)
