"""Who does the work at a desk, so that the event loop does not wait for a disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from forged.destination.desk import Desk
from forged.destination.plain import Opened, Pour, Whole, Written
from forged.model.errors import ForgedError
from forged.model.paths import HomePath

P = ParamSpec("P")
R = TypeVar("R")

LANDING_THREADS = 2
"""While one hashes a large file, the other goes on."""


class Hands(Protocol):
    """They do what is asked of them to its end, also when nobody waits for it any more: await the answers shielded.

    Answers carry what the desk raised. Life: `open` before each `ready`, `aclose` at the end.
    """

    @property
    def desk(self) -> int:
        """Another number when the desk is a new one: that knows nothing of what was begun at the one before."""

    async def open(self) -> None:
        """From now on there is somebody to ask. Raises DestinationError."""

    def writing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Has one of the calls done that come one after the other, in the order asked."""

    def landing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Has one of the calls done that go side by side."""

    def write(self, pours: Sequence[Pour]) -> asyncio.Future[Written]:
        """`Desk.write`, in its turn."""

    def clone(
        self, staging: str, attempt: int, source: int, size_bytes: int, begun: bool, most_bytes: int
    ) -> asyncio.Future[Whole | bool]:
        """`Desk.clone`, in its turn. The caller may close `source` meanwhile. False also where these hands cannot."""

    def found(self, id: str, level: str) -> None:
        """What `Desk.ready` has answered, for whoever opens files."""

    def opening(self, home: HomePath) -> asyncio.Future[Opened]:
        """`Desk.open`, in our own process, whose the descriptor is."""

    async def aclose(self) -> None:
        """Waits for what is under way, and closes what is open."""


class Threads:
    """Three threads of our own process, started when needed: one writes, two land, look and hash."""

    desk = 0

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self._writer = ThreadPoolExecutor(1, f"write {name}")
        self._landers = ThreadPoolExecutor(LANDING_THREADS, f"land {name}")

    async def open(self) -> None:
        """As the contract says: they are there."""

    def writing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        return self._asked(self._writer, partial(self._desk.do, call, *args, **kwargs))

    def landing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        return self._asked(self._landers, partial(self._desk.do, call, *args, **kwargs))

    def write(self, pours: Sequence[Pour]) -> asyncio.Future[Written]:
        return self.writing(Desk.write, pours)

    def clone(
        self, staging: str, attempt: int, source: int, size_bytes: int, begun: bool, most_bytes: int
    ) -> asyncio.Future[Whole | bool]:
        own = os.dup(source)
        answer = self.writing(Desk.clone, staging, attempt, own, size_bytes, begun, most_bytes)
        answer.add_done_callback(lambda _: os.close(own))
        return answer

    def found(self, id: str, level: str) -> None:
        """The desk itself has answered it."""

    def opening(self, home: HomePath) -> asyncio.Future[Opened]:
        return self.landing(Desk.open, home)

    async def aclose(self) -> None:
        await self.writing(Desk.close_all)
        for threads in (self._writer, self._landers):
            await asyncio.to_thread(threads.shutdown)

    def _asked(self, threads: Executor, work: Callable[[], R]) -> asyncio.Future[R]:
        answer = asyncio.get_running_loop().run_in_executor(threads, work)
        answer.add_done_callback(seen)
        return answer


def failed(error: ForgedError) -> asyncio.Future[R]:
    """The answer to what cannot even be asked."""
    answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
    answer.add_done_callback(seen)
    answer.set_exception(error)
    return answer


def seen(answer: asyncio.Future[R]) -> None:
    """What went wrong with work that nobody waits for any more is no news: the next call meets it, too."""
    if not answer.cancelled():
        answer.exception()
