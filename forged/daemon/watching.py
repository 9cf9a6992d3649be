"""The watch of one target: files that were closed or renamed into place come home at once, without a look at everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import aclosing
from itertools import compress

from forged.daemon.standing import Standing
from forged.model.errors import DestinationError, ForgedError, NotSupported, Scope, SourceError
from forged.model.files import Entry, Stat
from forged.model.paths import SourcePath
from forged.sources.base import Notices
from forged.sync.cycle import bring_noticed
from forged.sync.doors import Doors
from forged.sync.home import note_trouble, ready
from forged.sync.looks import Looks
from forged.sync.tally import Tally

MOST_NOTICED = 4_096
"""Noticed files that wait; beyond that a look at everything is cheaper, and a flood of notices needs no memory."""

MOST_AT_ONCE = 4
"""Lines that bring noticed files side by side: behind a film that takes minutes, a picture must not wait for its end."""

LOOK_AGAIN_S = 5.0
"""Between two looks that notices make necessary. A box that tells of an overflow with each breath would be listed without end."""

WATCH_AGAIN_S = 1.0
"""A watch that broke while a round goes on is begun again so much later: the round connects anew, and the watch uses that."""

PARTLY_HINT = "raise fs.inotify.max_user_watches on the box; until then the poll finds what the watch does not see"


class Watching:
    """Runs beside the rounds. A notice is only a hint: whatever it misses, the next look at everything finds."""

    def __init__(
        self, doors: Doors, looks: Looks, standing: Standing, look: Callable[[], object], busy: Callable[[], bool]
    ) -> None:
        """`look` asks for a look at everything; `busy` tells whether a round or another wish is being worked on."""
        self._doors = doors
        self._looks = looks
        self._standing = standing
        self._look = look
        self._busy = busy
        self._closed: dict[SourcePath, Entry] = {}
        self._found: dict[SourcePath, Entry] = {}
        self._unbrought: dict[SourcePath, tuple[float, Entry]] = {}
        """What was noticed on this line and is not home yet, and when that was, in monotonic seconds."""
        self._news = asyncio.Event()
        self._lines: set[asyncio.Task[None]] = set()
        """Those that bring something now."""
        self._resting = 0
        """Files that are to be tried once more, in a while."""
        self._home_is_ready = False
        self._looked_s = -LOOK_AGAIN_S
        self._looking: asyncio.TimerHandle | None = None
        """A look that comes a little later."""

    async def run(self) -> None:
        """While the source is open, from its first look on. One that cannot watch just is not watched.

        A target with a cron line is looked at when that says so, and only then. Raises SourceError when the connection is lost.
        """
        timing = self._doors.target.timing
        if timing.schedule:
            return
        if not (timing.watch and self._doors.source.capabilities.watching):
            self._look()
            return
        listening, bringing = asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._bring())
        try:
            await asyncio.wait([listening, bringing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._standing.watch_lives(False)
            if self._looking is not None:
                self._looking.cancel()
                self._looking = None
            for task in (listening, bringing):
                task.cancel()
            await asyncio.gather(listening, bringing, return_exceptions=True)
            self._forget_looked_at()
            self._standing.noticed_in_vain(self._wanted([entry for _, entry in self._unbrought.values()]))
            self._unbrought.clear()
        for task in (listening, bringing):
            if not task.cancelled():
                task.result()

    def _wanted(self, entries: Collection[Entry]) -> list[Entry]:
        return list(compress(entries, self._doors.selector.wants_each(list(entries))))

    def _forget_looked_at(self) -> None:
        """A look at everything that began later and ended well has brought it, or counts it itself. Without this, what came home by
        a look would count as missing at a box that breaks off afterwards."""
        seen_s = self._standing.seen_s
        if seen_s is not None:
            self._unbrought = {path: noticed for path, noticed in self._unbrought.items() if noticed[0] >= seen_s}

    def interrupt(self) -> None:
        """A person paused the target: nothing more is brought."""
        for line in self._lines:
            line.cancel()

    # --- hearing ----------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """As long as there is a watch. While a round goes on, one that broke is begun again: the round may live through it."""
        while True:
            try:
                await self._hear()
            except NotSupported as error:
                self._standing.conditions.broken("watch", error.message, error.hint)
                self._look()
                return
            except SourceError:
                if not self._busy():
                    raise
            self._standing.watch_lives(False)
            await asyncio.sleep(WATCH_AGAIN_S)

    async def _hear(self) -> None:
        begun = False
        async with aclosing(self._doors.source.watch()) as notices:
            async for notice in notices:
                self._standing.watch_lives(True, partly=notice.unwatched > 0)
                self._tell_of_limits(notice.unwatched)
                if not begun:
                    begun = True
                    self._look()  # what was written before the watch began
                self._take(notice)

    def _tell_of_limits(self, unwatched: int) -> None:
        if unwatched:
            self._standing.conditions.broken("watch", f"{unwatched} folders are not watched", PARTLY_HINT)
        else:
            self._standing.conditions.healed("watch")

    def _take(self, notice: Notices) -> None:
        self._closed.update((entry.path, entry) for entry in notice.entries)
        self._found.update((entry.path, entry) for entry in notice.found)
        if notice.overflow or len(self._closed) + len(self._found) > MOST_NOTICED:
            self._closed.clear()
            self._found.clear()
            self._unbrought.clear()
            self._look_soon()
        now_s = self._doors.clock.monotonic_s()
        self._unbrought.update({path: (now_s, entry) for path, entry in (self._closed | self._found).items()})
        self._news.set()

    def _look_soon(self) -> None:
        """At once, or when the last such look is a while ago."""
        if self._looking is None:
            wait_s = self._looked_s + LOOK_AGAIN_S - self._doors.clock.monotonic_s()
            self._looking = asyncio.get_running_loop().call_later(max(0.0, wait_s), self._look_now)

    def _look_now(self) -> None:
        self._looking, self._looked_s = None, self._doors.clock.monotonic_s()
        self._look()

    # --- bringing ---------------------------------------------------------------------------------------------------------

    async def _bring(self) -> None:
        """Takes what has been noticed so far, all at once, and goes on: a few lines side by side."""
        self._resting = 0
        async with asyncio.TaskGroup() as self._group:
            while True:
                await self._news.wait()
                if len(self._lines) >= MOST_AT_ONCE:
                    await asyncio.wait(self._lines, return_when=asyncio.FIRST_COMPLETED)
                self._news.clear()
                closed, self._closed = list(self._closed.values()), {}
                found, self._found = list(self._found.values()), {}
                for entries, are_closed in ((closed, True), (found, False)):
                    if entries and self._standing.pause is None:
                        self._begin_line(entries, are_closed)

    def _begin_line(self, entries: list[Entry], closed: bool) -> None:
        line = self._group.create_task(self._brought(entries, closed), name=f"bring noticed {self._doors.target.name}")
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)

    async def _brought(self, entries: list[Entry], closed: bool) -> None:
        """Brings these. What goes wrong is left to the next look, which meets it again and reports it."""
        tally = Tally()
        try:
            if not self._home_is_ready:
                await ready(self._doors)
                self._home_is_ready = True
            waiting = await bring_noticed(self._doors, self._looks, entries, tally, closed=closed)
        except ForgedError as error:
            self._home_is_ready = self._home_is_ready and not isinstance(error, DestinationError)
            if error.scope in (Scope.DESTINATION, Scope.STORE):
                self._standing.broken(error)
                await note_trouble(self._doors, error)
            self._forget_looked_at()
            self._look()
        else:
            if tally.failed:
                self._look()
            for entry in entries:
                if entry.path not in waiting:
                    self._unbrought.pop(entry.path, None)
            if waiting:
                again = [entry for entry in entries if entry.path in waiting]
                self._rest(again, min(waiting.values()), closed)

    def _rest(self, entries: list[Entry], wait_s: float, closed: bool) -> None:
        """Another line has them, or they may still be written: once more, when that makes sense. Of too many, a look takes care."""
        if self._resting + len(entries) > MOST_NOTICED:
            self._look()
            return
        self._resting += len(entries)
        self._group.create_task(self._again(entries, wait_s, closed), name="noticed again")

    async def _again(self, entries: list[Entry], wait_s: float, closed: bool) -> None:
        await self._doors.clock.sleep(wait_s)
        self._resting -= len(entries)
        if closed:
            self._closed = {entry.path: entry for entry in entries} | self._closed
        else:
            self._found = await self._looked_again(entries) | self._found
        self._news.set()

    async def _looked_again(self, entries: list[Entry]) -> dict[SourcePath, Entry]:
        """How they look now: what has moved since is not settled."""
        paths = [entry.path for entry in entries]
        try:
            looks = await self._doors.source.look(paths)
        except SourceError:
            return {}  # with the connection the watch ends as well, and the next one begins with a look at everything
        return {path: Entry(path, look) for path, look in zip(paths, looks, strict=True) if isinstance(look, Stat)}
