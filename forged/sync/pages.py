"""Files on their way out of the queue: taken, begun and remembered many at once.

Looking into a picture takes a millisecond, a transaction of the state several. So a page of the queue is read at once, with what
has landed beside its files; those of it that were never tried are begun in one transaction; and what was found is put down as soon
as there is nothing more to do, or there is enough of it, or some time has passed.

A file stays in the queue until it is remembered. One whose try did not end is a suspect from then on: it may have taken the whole
program along, and so is begun and remembered by itself, one suspect after the other. The others of its page are suspects as well,
but only once: what does end the program is found out and given up, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from forged.kit.tasks import to_the_end
from forged.model.errors import ForgedError
from forged.model.manifest import ManifestRow
from forged.model.media import Examined, Known, MediaInfo, Owed, ToExamine
from forged.model.observer import FilesExamined
from forged.model.paths import HomePath, SourcePath
from forged.rules import media
from forged.sync.enrich import Looked, Rooms
from forged.sync.publish import file_synced

PAGE_FILES = 64
"""Taken from the queue in one go, and put down in one go. Ten times as many were no faster."""

MOST_UNWRITTEN_CHARS = 1 << 20
"""Of texts that were found and are not yet remembered; one file of a hostile box may bring 16 MiB more."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One that waits. `beside`: what has landed that may say more of it."""

    file: ToExamine
    beside: Sequence[ManifestRow]


class Pages:
    """Of one target."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._page: deque[Taken] = deque()
        self._busy: set[_Version] = set()
        self._looked: list[Looked] = []
        self._let_go: list[ToExamine] = []
        self._left: dict[_Version, ToExamine] = {}
        """What could not even be put back: in mind, lest the next look blames it for trouble of the state."""
        self._taking, self._writing = asyncio.Lock(), asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether a file was taken that is not yet remembered."""
        return bool(self._busy)

    @property
    def unwritten(self) -> bool:
        """Whether something was found that is not yet remembered."""
        return bool(self._looked)

    async def take(self) -> Taken | None:
        """The next that waits and that nobody looks into; begun, but for suspects (`begin`). Raises StoreError."""
        async with self._taking:
            if not self._page:
                await self._turn()
            if not self._page:
                return None
            taken = self._page.popleft()
            self._busy.add(_version(taken.file))
            return taken

    async def _turn(self) -> None:
        """To the next page."""
        await self._put_back()
        busy = set(self._busy)  # what is remembered while we read may still be among those that waited
        waiting = await self._rooms.store.media.waiting(self._rooms.target.manifest, PAGE_FILES + len(busy))
        files = [file for file in waiting if _version(file) not in busy | self._busy]
        page = await self._with_companions(files)
        await self._begin([file for file in files if not file.tries])
        self._page.extend(page)

    async def _with_companions(self, files: Sequence[ToExamine]) -> list[Taken]:
        names = [media.told_by(self._rooms.target.type, file.path) if file.current else () for file in files]
        asked = list({name for some in names for name in some})
        rows = await self._rooms.store.manifest.current(self._rooms.target.manifest, asked) if asked else ()
        there = {row.path: row for row in rows if row is not None}
        return [Taken(file, [there[name] for name in some if name in there]) for file, some in zip(files, names, strict=True)]

    async def begin(self, suspect: ToExamine) -> None:
        """This one is tried now. Raises StoreError."""
        await self._begin([suspect])

    async def _begin(self, files: Sequence[ToExamine]) -> None:
        try:
            if files:
                await to_the_end(self._rooms.store.media.begun(files))
        except (ForgedError, asyncio.CancelledError):
            self._let_go += files
            raise

    def let_go(self, file: ToExamine) -> None:
        """The try led to nothing, and the file is not to blame."""
        self._let_go.append(file)

    async def looked(self, looked: Looked) -> Sequence[Known]:
        """It is to be remembered, now or soon. Answers as `write`. Raises StoreError."""
        self._looked.append(looked)
        is_enough = len(self._looked) >= PAGE_FILES or sum(map(_chars, self._looked)) >= MOST_UNWRITTEN_CHARS
        return await self.write() if is_enough else ()

    async def write(self) -> Sequence[Known]:
        """Remembers all that was looked into; answers which of it may share its bytes now. Raises StoreError."""
        async with self._writing:
            batch = list(self._looked)
            if batch:
                await to_the_end(self._write(batch))
        linking = [one.examined for one in batch if one.examined is not None and Owed.LINK in one.examined.owes]
        return [_known(one) for one in linking]

    async def _write(self, batch: Sequence[Looked]) -> None:
        store, target = self._rooms.store.media, self._rooms.target.name
        if gone := [one.file for one in batch if one.examined is None]:
            await store.drop(gone)
        if there := [self._told(one.examined) for one in batch if one.examined is not None]:
            await store.finish(there)
        del self._looked[: len(batch)]
        self._busy -= {_version(one.file) for one in batch}
        for one in batch:
            self._rooms.observer.notice(FilesExamined(target, one.kind, one.result))

    def _told(self, one: Examined) -> Examined:
        """With the event that it is home, and what was found in it; with none where nobody takes events."""
        target, takers = self._rooms.target, self._rooms.takers
        if not takers.anybody():
            return one
        row, now_ns = one.file.row, self._rooms.clock.now_ns()
        event = file_synced(target, row, now_ns, media=one.info, discovery=takers.discovery, again=one.file.again)
        return replace(one, events=(event,))

    async def leave(self) -> None:
        """Nothing is under way any more: what was looked into is remembered, all else waits on as if it had not been tried. Raises
        StoreError."""
        back = [*(taken.file for taken in self._page), *self._let_go]
        self._page.clear()
        self._let_go.clear()
        try:
            await self.write()
        finally:
            back += [one.file for one in self._looked]
            self._looked.clear()
            self._busy.clear()
            self._left |= {_version(file): file for file in back}
            await self._put_back()

    async def _put_back(self) -> None:
        if left := list(self._left.values()):
            await to_the_end(self._rooms.store.media.put_back(left))
            self._left.clear()


_Version = tuple[SourcePath, HomePath]


def _version(file: ToExamine) -> _Version:
    return file.path, file.home


def _known(one: Examined) -> Known:
    file = one.file
    return Known(file.manifest, file.path, file.home, file.sha256, one.at_ns, one.owes, one.info)


def _chars(looked: Looked) -> int:
    info: MediaInfo | None = looked.examined.info if looked.examined is not None else None
    return sum(len(block.text) for block in info.raw) if info is not None else 0
