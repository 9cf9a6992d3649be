"""The threads of a local source: short hops for single steps, and a thread of its own for whatever streams.

Everything that touches the disk happens here, so that the event loop never waits for one. Hops are short (megabytes), so that
callers get their turn. A cancelled caller does not wait for his hop: what the hop uses stays open until it has ended. A disk that
hangs (a share whose server is gone) holds a thread for as long as it likes, but no caller: after the limit of the contract the
source is lost to him.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Generic, ParamSpec, TypeVar

from forged.model.errors import SourceLost
from forged.sources.agent.program.line import Stopped
from forged.sources.base import SILENCE_LIMIT_S

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

WORKERS = 4
"""The fetches that a target runs at once (three by default), and one for a look in between."""

ITEMS_AHEAD = 2
"""How many parts a stream's thread may be ahead of whoever reads them: one is being made while another is used."""

LEAVE_S = 5.0
"""How long closing waits for what runs: half of what `forged run` has for its whole stop."""


class Feed(Generic[T]):
    """Where the thread of a stream puts what it makes. `put`, `check` and `hang_up` are the thread's, all else is the loop's."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(ITEMS_AHEAD)
        self._items: asyncio.Queue[T | None] = asyncio.Queue()
        self._signs_of_life = 0
        self._bell: int | None = None
        self._ringing = threading.Lock()

    def put(self, item: T) -> None:
        """Hands an item over; waits while the reader is behind. Raises Stopped when nobody reads any more."""
        self._room.acquire()
        self.check()
        self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    def check(self) -> None:
        """To be called where work moves on. Raises Stopped when nobody reads any more."""
        self._signs_of_life += 1
        if self.stopped.is_set():
            raise Stopped

    @contextmanager
    def hang_up(self) -> Iterator[int]:
        """A descriptor that becomes readable when nobody reads any more: for a thread that waits in poll(2)."""
        bell = os.eventfd(0)
        with self._ringing:
            self._bell = bell
            self._ring()
        try:
            yield bell
        finally:
            with self._ringing:
                self._bell = None
            os.close(bell)

    def _ring(self) -> None:
        if self._bell is not None and self.stopped.is_set():
            os.eventfd_write(self._bell, 1)

    async def next(self, silence_limit_s: float | None) -> T | None:
        """The next item; None when the thread has ended. Raises SourceLost when it shows no sign of life for so long."""
        while True:
            before = self._signs_of_life
            try:
                async with asyncio.timeout(silence_limit_s):
                    item = await self._items.get()
            except TimeoutError:
                if self._signs_of_life == before:
                    raise _silent() from None
            else:
                self._room.release()
                return item

    def end(self, _: Future[None]) -> None:
        """The thread has ended."""
        self._loop.call_soon_threadsafe(self._items.put_nowait, None)

    def stop(self) -> None:
        """Nobody reads any more: the thread ends at its next `put` or `check`."""
        self.stopped.set()
        self._room.release()
        with self._ringing:
            self._ring()


class Threads:
    """All threads of one open source. Once it is closed, whoever still asks gets SourceLost."""

    def __init__(self, name: str, silence_limit_s: float = SILENCE_LIMIT_S) -> None:
        self._name, self._silence_limit_s = name, silence_limit_s
        self._open = True
        self._workers = ThreadPoolExecutor(WORKERS, name)
        self._streams: dict[Future[None], Callable[[], None]] = {}
        self._running = 0
        self._ending = threading.Condition()

    def check(self) -> None:
        """Raises SourceLost when closed."""
        if not self._open:
            raise SourceLost("the source is not open")

    async def do(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One hop. Raises what `work` raises, and SourceLost when the source is closed or the disk hangs."""
        self.check()
        result = asyncio.wrap_future(self._counted(self._workers.submit(partial(work, *args, **kwargs))))
        result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # seen, also where nobody waits any more
        await asyncio.wait([result], timeout=self._silence_limit_s)
        if not result.done():
            raise _silent()
        return result.result()

    async def stream(self, work: Callable[[Feed[T]], None], *, may_be_silent: bool = False) -> AsyncGenerator[T, None]:
        """What `work` puts into its feed, as it comes. Closed early, it stops the thread.

        Raises what `work` raises, and SourceLost when the source is closed or the disk hangs. What `may_be_silent` may be so
        after its first item.
        """
        self.check()
        feed: Feed[T] = Feed()
        job = self._start(work, feed)
        limit_s: float | None = self._silence_limit_s
        try:
            while (item := await feed.next(limit_s)) is not None:
                self.check()
                limit_s = None if may_be_silent else limit_s
                yield item
            self.check()
            job.result()
        finally:
            feed.stop()

    def _start(self, work: Callable[[Feed[T]], None], feed: Feed[T]) -> Future[None]:
        thread = ThreadPoolExecutor(1, f"{self._name} stream")
        job = self._counted(thread.submit(work, feed))
        thread.shutdown(wait=False)
        self._streams[job] = feed.stop
        job.add_done_callback(self._streams.pop)
        job.add_done_callback(feed.end)
        return job

    async def close(self) -> bool:
        """Ends what runs, and waits for it; whether all has ended. What hangs is left behind."""
        self._open = False
        for stop in list(self._streams.values()):
            stop()
        self._workers.shutdown(wait=False)
        return await asyncio.to_thread(self._wait_for_all)

    def _counted(self, job: Future[R]) -> Future[R]:
        with self._ending:
            self._running += 1
        job.add_done_callback(self._one_less)
        return job

    def _one_less(self, _: Future[R]) -> None:
        with self._ending:
            self._running -= 1
            self._ending.notify_all()

    def _wait_for_all(self) -> bool:
        with self._ending:
            return self._ending.wait_for(lambda: self._running == 0, LEAVE_S)


def _silent() -> SourceLost:
    return SourceLost("the disk does not answer", hint="is it a share whose server is gone? forged tries again by itself")
