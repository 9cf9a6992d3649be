"""The threads of a local source: short hops for single steps, and a thread of its own for whatever streams.

Everything that touches the disk happens here, so that the event loop never waits for one. A hop that has begun is always waited
for, also by a cancelled caller: descriptors are never closed under a thread that reads them. Hops are short (megabytes), so that
nobody waits for long; only a disk that hangs holds its reader up, as it would any other.
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

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

WORKERS = 4
"""The fetches that a target runs at once (three by default), and one for a look in between."""

ITEMS_AHEAD = 2
"""How many parts a stream's thread may be ahead of whoever reads them: one is being made while another is used."""


class Outbox(Generic[T]):
    """Where the thread of a stream puts what it makes. `put` and `check` are the thread's, everything else is the loop's."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(ITEMS_AHEAD)
        self._items: asyncio.Queue[T | None] = asyncio.Queue()
        self._bell: int | None = None
        self._ringing = threading.Lock()

    def put(self, item: T) -> None:
        """Hands an item over; waits while the reader is behind. Raises Stopped when nobody reads any more."""
        self._room.acquire()
        self.check()
        self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    def check(self) -> None:
        """Raises Stopped when nobody reads any more."""
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

    async def next(self) -> T | None:
        """The next item; None when the thread has ended."""
        item = await self._items.get()
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
    """All threads of one open source. After `close` nothing runs, and whoever still asks gets SourceLost."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open = True
        self._workers = ThreadPoolExecutor(WORKERS, name)
        self._streams: dict[Future[None], Callable[[], None]] = {}

    def check(self) -> None:
        """Raises SourceLost when closed."""
        if not self._open:
            raise SourceLost("the source is not open")

    async def do(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One hop. Raises what `work` raises, and SourceLost when the source is closed."""
        self.check()
        return await _ended(self._workers.submit(partial(work, *args, **kwargs)))

    async def stream(self, work: Callable[[Outbox[T]], None]) -> AsyncGenerator[T, None]:
        """What `work` puts into its outbox, as it comes. Closed early, it stops the thread.

        Raises what `work` raises, and SourceLost when the source is closed.
        """
        self.check()
        outbox: Outbox[T] = Outbox()
        thread = ThreadPoolExecutor(1, f"{self._name} stream")
        job = thread.submit(work, outbox)
        thread.shutdown(wait=False)
        self._streams[job] = outbox.stop
        job.add_done_callback(outbox.end)
        try:
            while (item := await outbox.next()) is not None:
                self.check()
                yield item
            self.check()
            job.result()
        finally:
            outbox.stop()
            await _over(job)
            del self._streams[job]

    async def close(self) -> None:
        """Ends everything that runs, and waits for it."""
        self._open = False
        for job, stop in list(self._streams.items()):
            stop()
            await _over(job)
        await asyncio.to_thread(self._workers.shutdown)


async def _ended(job: Future[R]) -> R:
    """The result of a job. Cancelled, it still waits for the end of what has begun."""
    try:
        return await asyncio.shield(asyncio.wrap_future(job))
    except asyncio.CancelledError:
        await _over(job)
        raise


async def _over(job: Future[R]) -> None:
    """Returns when the job has ended, however it ended. One that has not begun never will."""
    if job.cancel():
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    job.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    interrupted: asyncio.CancelledError | None = None
    while not ended.is_set():
        try:
            await ended.wait()
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted
