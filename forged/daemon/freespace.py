"""What is free at home, asked each minute: a target with nothing to do looks at its home once an hour, or once a day.

Asked of whoever works there (a process or a thread of its own), one question at a time for each folder: a mount that is dead holds
up that question and nobody else, and the number goes, as it does where home is missing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from forged.daemon.fleet import Fleet, Member
from forged.kit.clock import Clock
from forged.kit.signs import Alive
from forged.model.errors import DestinationError

LOOK_S = 60.0

SILENT_S = 150.0
"""Without an answer for so long, what was free is not known any more. A hash of a large file may be before the question."""


class FreeSpace:
    """Keeps `Standing.free_bytes` fresh."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet, self._clock = fleet, clock
        self._asked: dict[Path, tuple[asyncio.Task[None], float]] = {}
        """The question that is under way, and since when."""

    async def watch(self, alive: Alive) -> None:
        """An eternal task."""
        try:
            while True:
                alive()
                self.look()
                await self._clock.sleep(LOOK_S)
        finally:
            for task, _ in self._asked.values():
                task.cancel()

    def look(self) -> None:
        """Asks once at each home that was ever seen; waits for nobody."""
        homes: dict[Path, list[Member]] = {}
        for member in self._fleet.members:
            if member.standing.home_seen:
                homes.setdefault(member.standing.target.home.dest, []).append(member)
        now_s = self._clock.monotonic_s()
        for dest, members in homes.items():
            if dest not in self._asked:
                task = asyncio.create_task(self._ask(dest, members), name=f"free space {dest}")
                self._asked[dest] = (task, now_s)
            elif now_s - self._asked[dest][1] >= SILENT_S:
                _tell(members, None)

    async def _ask(self, dest: Path, members: list[Member]) -> None:
        """Of the first: they share the folder."""
        try:
            _tell(members, await members[0].work.doors.destination.free_space_bytes())
        except DestinationError:
            _tell(members, None)
        finally:
            del self._asked[dest]


def _tell(members: list[Member], free_bytes: int | None) -> None:
    for member in members:
        member.standing.free_bytes = free_bytes
