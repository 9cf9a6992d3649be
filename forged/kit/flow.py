"""A line of stages: each is an async generator of lists that runs in a named task and hands over through a bounded stream.

Stages overlap (one scans while the next one hashes), and memory is bounded by the streams. A stage that fails ends the line: those
before it at once, those behind it when they have done what it had handed over; then the line raises its exception, not a group.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import chain, compress
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_WAITING = 1_024
"""Items between two stages: enough that neither waits for the other's next list, and half a MB of small objects. A hundred lines
may be full at once."""


class Stream(Generic[T]):
    """What comes out of a stage. Several consumers may share it: each list goes to exactly one of them."""

    def __init__(self, producers: int, most: int = MOST_WAITING) -> None:
        self._lists: deque[list[T]] = deque()
        self._waiting = 0
        self._most = most
        self._producers = producers
        self._some, self._room = asyncio.Event(), asyncio.Event()

    def __aiter__(self) -> AsyncIterator[list[T]]:
        return self

    async def __anext__(self) -> list[T]:
        while not self._lists:
            if not self._producers:
                raise StopAsyncIteration
            self._some.clear()
            await self._some.wait()
        return self._take()

    async def batches(self, most: int, gap_s: float = 0.0) -> AsyncGenerator[list[T], None]:
        """Waits for one list, then takes what else is there already: large batches under load, no delay without.

        At most `most` items, unless a single list has more. `gap_s` passes between two batches, unless that many wait earlier.
        """
        clock, before_s = asyncio.get_running_loop().time, -gap_s
        async for first in self:
            batch = list(first)
            await self._wait_for(most - len(batch), before_s + gap_s - clock())
            while self._lists and len(batch) + len(self._lists[0]) <= most:
                batch += self._take()
            before_s = clock()
            yield batch

    async def _wait_for(self, items: int, most_s: float) -> None:
        """Returns when so many wait, nobody can bring more, or the time is over."""
        if most_s <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while self._waiting < min(items, self._most) and self._producers:
                    self._some.clear()
                    await self._some.wait()

    async def pump(self, items: AsyncGenerator[list[T], None]) -> None:
        """Carries one producer's lists into the stream; the last producer closes it."""
        async with aclosing(items) as stream:
            async for item in stream:
                await self.put(item)
        self.end()

    def end(self) -> None:
        """One producer has no more."""
        self._producers -= 1
        self._some.set()

    def close(self) -> None:
        """No producer will bring more, whatever became of them."""
        self._producers = 0
        self._some.set()

    async def put(self, items: list[T]) -> None:
        """Waits while `most` are there. A list is never cut: the last one may go beyond."""
        if not items:
            return
        while self._waiting >= self._most:
            self._room.clear()
            await self._room.wait()
        self._lists.append(items)
        self._waiting += len(items)
        self._some.set()

    def _take(self) -> list[T]:
        items = self._lists.popleft()
        self._waiting -= len(items)
        self._room.set()
        return items


class Line:
    """Where stages are added; made by `line()`."""

    def __init__(self) -> None:
        self._stages: list[list[asyncio.Task[None]]] = []
        self.failure: BaseException | None = None
        """The first one of a stage."""

    def stage(self, name: str, *producers: AsyncGenerator[list[T], None], most: int = MOST_WAITING) -> Stream[T]:
        """Starts a stage; with several producers their lists come out mixed. About `most` items may wait."""
        stream: Stream[T] = Stream(len(producers), most)
        self._stages.append([])
        for number, producer in enumerate(producers):
            self._start(f"{name}/{number}", stream.pump(producer), stream)
        return stream

    def split(self, name: str, items: AsyncIterable[list[T]], is_other: Callable[[T], bool]) -> tuple[Stream[T], Stream[T]]:
        """Parts a stream in two, so that those who take the ones do not wait for those who take the others.

        Only when `MOST_WAITING` of one kind wait, the other kind has to wait behind them.
        """
        ones, others = Stream[T](1), Stream[T](1)
        self._stages.append([])
        self._start(name, _part(items, is_other, ones, others), ones, others)
        return ones, others

    def _start(self, name: str, work: Coroutine[None, None, None], *fed: Stream[T]) -> None:
        task, stage = asyncio.get_running_loop().create_task(work, name=name), len(self._stages)
        self._stages[-1].append(task)
        task.add_done_callback(lambda _: self._ended(task, stage, fed))

    def _ended(self, task: asyncio.Task[None], stage: int, fed: Sequence[Stream[T]]) -> None:
        """With a stage that failed all before it end. Those behind take what it has handed over, and find that there is no more."""
        if task.cancelled() or task.exception() is not None:
            for stream in fed:
                stream.close()
        if not task.cancelled() and task.exception() is not None:
            self.failure = self.failure or task.exception()
            self._cancel(stage)

    def _cancel(self, stages: int) -> list[asyncio.Task[None]]:
        tasks = list(chain.from_iterable(self._stages[:stages]))
        for task in tasks:
            task.cancel()
        return tasks

    async def stop(self) -> None:
        """Ends all stages."""
        tasks = self._cancel(len(self._stages))
        if tasks:
            await asyncio.wait(tasks)


async def _part(items: AsyncIterable[list[T]], is_other: Callable[[T], bool], ones: Stream[T], others: Stream[T]) -> None:
    async for some in items:
        apart = [is_other(item) for item in some]
        await others.put(list(compress(some, apart)))
        await ones.put(some if not any(apart) else [item for item, other in zip(some, apart, strict=True) if not other])
    ones.end()
    others.end()


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    """A line that lives as long as the `async with`; leaving it, in whatever way, ends all its stages.

    Raises the first failure of a stage at its end, when what had come through is taken.
    """
    built = Line()
    try:
        yield built
    finally:
        await built.stop()
    if built.failure is not None:
        raise built.failure
