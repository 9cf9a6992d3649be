"""The watch of one target: files that were closed or renamed into place come home at once, without a look at everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress

from forged.daemon.standing import Standing
from forged.model.errors import ForgedError, NotSupported, Scope, SourceError
from forged.model.files import Entry
from forged.model.paths import SourcePath
from forged.sources.base import Notices
from forged.sync.cycle import bring_noticed
from forged.sync.doors import Doors, Looks
from forged.sync.tally import Tally

MOST_NOTICED = 4_096
"""Noticed files that wait; beyond that a look at everything is cheaper, and a flood of notices needs no memory."""


class Watching:
    """Runs beside the rounds. A notice is only a hint: whatever it misses, the next round finds."""

    def __init__(self, doors: Doors, looks: Looks, standing: Standing, missed: Callable[[], object]) -> None:
        self._doors = doors
        self._looks = looks
        self._standing = standing
        self._missed = missed
        self._noticed: dict[SourcePath, Entry] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """While the source is open; one that cannot watch just is not watched. Raises SourceError when the connection is lost."""
        if not (self._doors.target.timing.watch and self._doors.source.capabilities.watching):
            return
        bringing = asyncio.create_task(self._bring(), name=f"bring noticed {self._doors.target.name}")
        try:
            with suppress(NotSupported):
                await self._listen()
        finally:
            self._standing.watch_lives(False)
            bringing.cancel()
            await asyncio.wait([bringing])

    async def _listen(self) -> None:
        async with aclosing(self._doors.source.watch()) as notices:
            async for notice in notices:
                if not self._standing.watching:
                    self._standing.watch_lives(True)
                    self._missed()  # what was written before the watch began
                self._take(notice)

    def _take(self, notice: Notices) -> None:
        for entry in notice.entries:
            self._noticed[entry.path] = entry
        if notice.overflow or len(self._noticed) > MOST_NOTICED:
            self._noticed.clear()
            self._missed()
        if notice.unwatched:
            hint = "raise fs.inotify.max_user_watches on the box; until then the poll finds what the watch does not see"
            self._standing.conditions.broken("watch", f"{notice.unwatched} folders are not watched", hint)
        self._news.set()

    async def _bring(self) -> None:
        """Takes what has been noticed so far, all at once, and goes on."""
        while True:
            await self._news.wait()
            self._news.clear()
            entries, self._noticed = list(self._noticed.values()), {}
            if not entries or self._standing.pause is not None:
                continue
            try:
                await bring_noticed(self._doors, self._looks, entries, Tally())
            except SourceError:
                self._missed()  # the runner meets the same error and reports it
            except ForgedError as error:
                self._missed()
                if error.scope is not Scope.FILE:
                    self._standing.broken(error)
