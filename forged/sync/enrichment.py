"""Enrichment as it goes on beside the rounds of a target: it drains the queue, and never holds up a transfer.

It lives in tasks of its own, is woken by what lands, and is bounded: so many files at once, over all targets.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from forged.model.errors import ForgedError
from forged.model.manifest import ManifestName
from forged.model.media import Known, Owed, ToExamine
from forged.model.observer import Fact, FilesLanded
from forged.model.paths import SourcePath
from forged.sync.enrich import Rooms, enrich, follow_sidecar, share

PAGE_FILES = 64
"""Taken from the queue in one go."""

PAGE_OWED = 4
"""With all that is known of each: a hostile file's may have 16 MiB, and become several times that in memory."""

AGAIN_S = 30.0
"""After trouble with the destination or the state: as long as a round waits by default."""


class Enrichment:
    """Of one target. `trouble`: what it waits for; the files are not to blame."""

    def __init__(self, rooms: Rooms, turns: asyncio.Semaphore) -> None:
        """`turns`: how many files may be looked into at once, over all targets that share it."""
        self.rooms, self._turns = rooms, turns
        self._news, self._moved = asyncio.Event(), asyncio.Event()
        self._page: deque[ToExamine] = deque()
        self._busy: set[SourcePath] = set()
        self._taking = asyncio.Lock()
        self._owed_is_due = True
        self.trouble: ForgedError | None = None

    @property
    def wants_sidecars(self) -> bool:
        """Whether exiftool is needed for it."""
        return self.rooms.target.media.xmp

    @property
    def manifest(self) -> ManifestName:
        """Whose files it looks into."""
        return self.rooms.target.manifest

    def notice(self, fact: Fact) -> None:
        """As an observer: what has landed at this target waits now."""
        if isinstance(fact, FilesLanded) and fact.target == self.rooms.target.name:
            self.wake()

    def wake(self) -> None:
        """Something may wait."""
        self._news.set()
        self._moved.set()

    def follow(self) -> None:
        """What is owed may be possible now: exiftool has appeared."""
        self._owed_is_due = True
        self.wake()

    async def run(self) -> None:
        """Without end; cancelled, what was begun waits on."""
        while True:
            self._news.clear()
            await self.drain()
            try:
                async with asyncio.timeout(AGAIN_S if self.trouble is not None else None):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def drain(self) -> None:
        """Until nothing waits, or there is `trouble`."""
        self.trouble = None
        self._page.clear()
        async with asyncio.TaskGroup() as workers:
            for _ in range(max(self.rooms.target.media.workers, 1)):
                workers.create_task(self._work())
        if self._owed_is_due and self.trouble is None:
            await self._pay()

    async def _work(self) -> None:
        try:
            while self.trouble is None:
                self._moved.clear()
                file = await self._next()
                if file is not None:
                    await self._enrich(file)
                elif self._busy:
                    await self._moved.wait()  # what lands meanwhile need not wait for the long film that another looks into
                else:
                    return
        except ForgedError as error:
            self.trouble = error
        finally:
            self._moved.set()

    async def _enrich(self, file: ToExamine) -> None:
        try:
            async with self._turns:
                await enrich(self.rooms, file)
        finally:
            self._busy.discard(file.path)
            self._moved.set()

    async def _next(self) -> ToExamine | None:
        """The next that waits and that nobody looks into."""
        async with self._taking:
            if not self._page:
                files = await self.rooms.store.media.waiting(self.rooms.target.manifest, PAGE_FILES + len(self._busy))
                self._page.extend(file for file in files if file.path not in self._busy)
            if not self._page:
                return None
            file = self._page.popleft()
            self._busy.add(file.path)
            return file

    async def _pay(self) -> None:
        """What a crash left undone, or had to wait for exiftool."""
        try:
            await self._each(Owed.LINK, self._share)
            sidecars = self.rooms.sidecars
            if sidecars is not None and sidecars.available:
                await self._each(Owed.SIDECAR, self._follow)
            self._owed_is_due = False
        except ForgedError as error:
            self.trouble = error

    async def _share(self, known: Known) -> bool:
        await share(self.rooms, known)
        return True

    async def _follow(self, known: Known) -> bool:
        return await follow_sidecar(self.rooms, known)

    async def _each(self, what: Owed, pay: Callable[[Known], Awaitable[bool]]) -> None:
        after: Known | None = None
        while page := await self.rooms.store.media.owing(self.rooms.target.manifest, what, after, PAGE_OWED):
            after = page[-1]
            for known in page:
                async with self._turns:
                    if not await pay(known):
                        return
