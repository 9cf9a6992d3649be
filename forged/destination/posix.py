"""A destination that is a folder of this machine: a disk, a NAS mount, anything with a path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from forged.destination.base import Closed, HomeLook, Landing, Readiness
from forged.destination.fresh import Fresh
from forged.destination.landing import Landings
from forged.destination.root import Root
from forged.destination.sink import StagingSink
from forged.destination.staging import Inspect, Staging
from forged.kit.budget import Room
from forged.model.errors import DestinationError
from forged.model.files import Problem
from forged.model.paths import HomePath
from forged.model.target import HomePolicy
from forged.model.transfer import Landed, Wholeness

P = ParamSpec("P")
R = TypeVar("R")

FILES_PER_HOP = 512
"""Files per visit of a thread: the hop's cost vanishes, one journal commit serves many, and a visit still ends soon."""

LANDING_THREADS = 2
"""While one hashes a large file, the other goes on."""


class PosixDestination:
    """One folder as one target uses it. Keeps the promises of `base.Destination`.

    Three threads of its own, started when needed: one writes what comes in (in order, so no locks), two land, look and hash.
    """

    def __init__(self, home: HomePolicy, namespace: str, room: Room, min_free_bytes: int, inspect: Inspect) -> None:
        """`namespace` tells the staging areas of targets apart; `inspect` answers whether a file's format finds its end."""
        self._root = Root(home, namespace, min_free_bytes)
        fresh = Fresh()
        self._staging = Staging(self._root, inspect, fresh)
        self._landings = Landings(self._root, fresh)
        self._room, self._inspect = room, inspect
        self._writer = ThreadPoolExecutor(1, f"write {namespace}")
        self._landers = ThreadPoolExecutor(LANDING_THREADS, f"land {namespace}")

    async def ready(self, known_id: str | None, *, may_be_new: bool = True) -> Readiness:
        return await self._do(self._landers, self._root.ready, known_id, may_be_new)

    def sink(self) -> StagingSink:
        return StagingSink(self._staging, self._writer, self._room, self._root.doubt)

    async def resume_points(self, stagings: Sequence[str]) -> Sequence[int]:
        return await self._do(self._writer, self._staging.resume_points, stagings)

    async def room_bytes(self) -> int:
        return await self._do(self._landers, self._root.room_bytes)

    async def discard(self, stagings: Collection[str]) -> None:
        await self._do(self._writer, self._staging.discard, stagings)

    async def sweep(self, keep: Collection[str]) -> int:
        return await self._do(self._writer, self._staging.sweep, keep)

    async def land(self, batch: Sequence[Landing]) -> Sequence[Landed | Problem]:
        answers: list[Landed | Problem] = []
        for start in range(0, len(batch), FILES_PER_HOP):
            answers += await self._do(self._landers, self._landings.land, batch[start : start + FILES_PER_HOP])
        return answers

    async def look(self, homes: Sequence[HomePath]) -> Sequence[HomeLook | Closed | None]:
        looks: list[HomeLook | Closed | None] = []
        for start in range(0, len(homes), FILES_PER_HOP):
            looks += await self._do(self._landers, self._landings.look, homes[start : start + FILES_PER_HOP])
        return looks

    async def hash(self, home: HomePath) -> bytes | None:
        return await self._do(self._landers, self._landings.hash, home)

    async def inspect(self, home: HomePath) -> Wholeness:
        return await self._do(self._landers, self._landings.inspect, home, self._inspect)

    async def confirm(self, batch: Sequence[HomePath]) -> None:
        for start in range(0, len(batch), FILES_PER_HOP):
            await self._do(self._landers, self._landings.confirm, batch[start : start + FILES_PER_HOP])

    async def aclose(self) -> None:
        await self._do(self._writer, self._staging.close_all)
        for threads in (self._writer, self._landers):
            await asyncio.to_thread(threads.shutdown)

    async def _do(self, threads: Executor, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One hop. A cancelled caller does not wait; the thread finishes what it began, and every step of it may be repeated."""
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, partial(work, *args, **kwargs))
        except DestinationError:
            self._root.doubt()
            raise
