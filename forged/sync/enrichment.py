"""Enrichment as it goes on beside the rounds of a target: it drains the queue, and never holds up a transfer.

It lives in tasks of its own, is woken by what lands, and is bounded: so many files at once, over all targets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress

from forged.kit.tasks import to_the_end
from forged.model.errors import ForgedError
from forged.model.manifest import ManifestName
from forged.model.media import Known, Owed
from forged.model.observer import Fact, FilesLanded
from forged.sync.enrich import Rooms, enrich, follow_sidecar, share
from forged.sync.pages import Pages, Taken

PAGE_OWED = 4
"""With all that is known of each: a hostile file's may have 16 MiB, and become several times that in memory."""

AGAIN_S = 30.0
"""After trouble with the destination or the state: as long as a round waits by default."""


FILES_A_WORKER = 4
"""On their way at once: while one is read, others are opened, or wait for exiftool and the disk: 71 files a second with sidecars
instead of 38 on a busy machine. A hostile file may bring 16 MiB of texts, so no more."""

WRITE_AGAIN_S = 0.5
"""So long at most what was found in a file waits for others, to be remembered with them."""


class Turns:
    """Whose turn it is, over all targets that share it."""

    def __init__(self, most_files: int) -> None:
        self.files = asyncio.Semaphore(most_files)
        """Of those that are looked into at once."""
        self.suspects = asyncio.Lock()
        """Of the one file that was tried before and did not end: two of them would share the blame."""


class Enrichment:
    """Of one target. `trouble`: what it waits for; the files are not to blame."""

    def __init__(self, rooms: Rooms, turns: Turns) -> None:
        self.rooms, self._turns = rooms, turns
        self._news, self._moved = asyncio.Event(), asyncio.Event()
        self._pages = Pages(rooms)
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
        try:
            await self._look_into_all()
        finally:
            await to_the_end(self._guarded(self._pages.leave()))
        if self._owed_is_due and self.trouble is None:
            await self._pay()

    async def _look_into_all(self) -> None:
        async with asyncio.TaskGroup() as beside:
            over = asyncio.Event()
            beside.create_task(self._guarded(self._write_often(over)))
            async with asyncio.TaskGroup() as workers:
                for _ in range(FILES_A_WORKER * max(self.rooms.target.media.workers, 1)):
                    workers.create_task(self._guarded(self._work()))
            over.set()

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except ForgedError as error:
            self.trouble, self._owed_is_due = error, True
        finally:
            self._moved.set()

    async def _work(self) -> None:
        while self.trouble is None:
            self._moved.clear()
            if (taken := await self._pages.take()) is not None:
                await self._look_into(taken)
            elif self._pages.unwritten:
                await self._write()
            elif self._pages.busy:
                await self._moved.wait()  # what lands meanwhile need not wait for the long film that another looks into
            else:
                return

    async def _look_into(self, taken: Taken) -> None:
        try:
            if taken.file.tries:
                await self._look_into_suspect(taken)
            else:
                async with self._turns.files:  # also to put it down: what many targets have found waits in memory for a slow disk
                    linking = await self._pages.looked(await enrich(self.rooms, taken.file, taken.beside))
                await self._share_each(linking)
        except (ForgedError, asyncio.CancelledError):
            self._pages.let_go(taken.file)
            raise
        finally:
            self._moved.set()

    async def _look_into_suspect(self, taken: Taken) -> None:
        """By itself, from its try to what is remembered of it: what it takes along are files that were never tried."""
        async with self._turns.suspects, self._turns.files:
            await self._pages.begin(taken.file)
            await self._pages.looked(await enrich(self.rooms, taken.file, taken.beside))
            await self._write()

    async def _write_often(self, over: asyncio.Event) -> None:
        """What was found does not wait for a long film either."""
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_AGAIN_S):
                    await over.wait()
            await self._write()

    async def _write(self) -> None:
        await self._share_each(await self._pages.write())
        self._moved.set()

    async def _share_each(self, linking: Sequence[Known]) -> None:
        for known in linking:
            await share(self.rooms, known)

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
                async with self._turns.files:
                    if not await pay(known):
                        return
