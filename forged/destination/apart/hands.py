"""Hands in another process: a call goes over a socket, the bytes of files through shared memory, or behind the call
where there is no room for them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar, cast

from forged.destination.apart.main import ApartDesk, Opening, SharedPour
from forged.destination.apart.process import Endpoint, Helper
from forged.destination.desk import Desk
from forged.destination.hands import LANDING_THREADS, failed, seen
from forged.destination.plain import Chunk, Opened, Pour, Whole, Written
from forged.destination.staging import Inspect
from forged.model.errors import DestinationError, DestinationMissing
from forged.model.paths import HomePath
from forged.model.target import HomePolicy

P = ParamSpec("P")
R = TypeVar("R")

_NUMBERS = itertools.count(1)
"""Of desks. A helper that was started again has none of those that the one before it had."""


class ApartHands:
    """Keeps the promises of `hands.Hands`, with one thread of the helper that writes and two that land, look and hash."""

    def __init__(self, helper: Helper, home: HomePolicy, namespace: str, min_free_bytes: int, inspect: Inspect) -> None:
        """As `Desk`. `inspect` must be a function of a module, because the helper imports it."""
        self.desk = 0
        self._helper = helper
        self._opening = Opening(0, home, namespace, min_free_bytes, f"{inspect.__module__}:{inspect.__qualname__}")
        self._here = Desk(home, namespace, min_free_bytes, inspect)
        self._opener = ThreadPoolExecutor(1, f"open {namespace}")
        self._ends: list[Endpoint] = []
        self._opened = asyncio.Lock()

    async def open(self) -> None:
        """As the contract says. After the helper has died the desk is a new one."""
        async with self._opened:
            if self._ends and not any(end.ended for end in self._ends):
                return
            self._close()
            self.desk = next(_NUMBERS)
            self._ends = await self._connected(self._opening.numbered(self.desk))

    async def _connected(self, opening: Opening) -> list[Endpoint]:
        """All sockets of a desk, or none: those that were open when another one failed would never be closed."""
        ends: list[Endpoint] = []
        try:
            while len(ends) < 1 + LANDING_THREADS:
                ends.append(await self._helper.connect(opening))
        except BaseException:
            for end in ends:
                end.close()
            raise
        return ends

    def writing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        return self._asked(self._ends[:1], call.__name__, args)

    def landing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        return self._asked(self._ends[1:], call.__name__, args)

    def write(self, pours: Sequence[Pour]) -> asyncio.Future[Written]:
        data = [chunk for *_, chunks, _ in pours for chunk in chunks]
        arena = self._helper.arena
        extent = arena.put(data, sum(map(len, data))) if arena is not None else None
        if arena is None or extent is None:
            return self._asked(self._ends[:1], ApartDesk.write_sent.__name__, (_shared(pours),), data)
        answer: asyncio.Future[Written] = self._asked(self._ends[:1], ApartDesk.write_shared.__name__, (_shared(pours), extent[0]))
        answer.add_done_callback(lambda _: arena.give(extent))
        return answer

    def clone(
        self, staging: str, attempt: int, source: int, size_bytes: int, begun: bool, most_bytes: int
    ) -> asyncio.Future[Whole | bool]:
        """Never: files of this machine are in better hands in our own process, where they are open."""
        answer: asyncio.Future[Whole | bool] = asyncio.get_running_loop().create_future()
        answer.set_result(False)
        return answer

    def found(self, id: str, level: str) -> None:
        self._here.believe(id, level)

    def opening(self, home: HomePath) -> asyncio.Future[Opened]:
        """Opened here: a descriptor that another process has opened would have to come by a way of its own."""
        answer = asyncio.get_running_loop().run_in_executor(self._opener, self._here.do, Desk.open, home)
        answer.add_done_callback(seen)
        return answer

    async def aclose(self) -> None:
        if self._ends and not self._ends[0].ended:
            with suppress(DestinationError):  # with a helper that has died all is closed
                await self.writing(Desk.close_all)
        for end in self._ends:
            await end.idle()
        self._close()
        await asyncio.to_thread(self._opener.shutdown)

    def _close(self) -> None:
        """Who asks them now hears that they have ended."""
        for end in self._ends:
            end.close()

    def _asked(
        self, ends: Sequence[Endpoint], name: str, args: tuple[object, ...], data: Sequence[Chunk] = ()
    ) -> asyncio.Future[R]:
        """Of the one that has least to do."""
        if not ends:
            return failed(DestinationMissing(f"{self._opening.home.dest}: not looked at yet"))
        return cast("asyncio.Future[R]", min(ends, key=lambda end: end.calls).ask(name, args, data))


def _shared(pours: Sequence[Pour]) -> list[SharedPour]:
    return [
        (staging, attempt, resume_bytes, offset_bytes, sum(map(len, chunks)), last)
        for staging, attempt, resume_bytes, offset_bytes, chunks, last in pours
    ]
