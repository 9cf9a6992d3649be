"""A line of stages: each is an async generator of lists that runs in a named task and hands over through a bounded stream.

Stages overlap (one scans while the next one hashes), memory is bounded by the streams, and the first failure ends the whole line
with its own exception, not with a group.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
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

    async def batches(self, most: int) -> AsyncGenerator[list[T], None]:
        """Waits for one list, then takes what else is there already: large batches under load, no delay without.

        At most `most` items, unless a single list has more.
        """
        async for first in self:
            batch = list(first)
            while self._lists and len(batch) + len(self._lists[0]) <= most:
                batch += self._take()
            yield batch

    async def pump(self, items: AsyncGenerator[list[T], None]) -> None:
        """Carries one producer's lists into the stream; the last producer closes it."""
        async with aclosing(items) as stream:
            async for item in stream:
                if item:
                    await self._put(item)
        self._producers -= 1
        self._some.set()

    async def _put(self, items: list[T]) -> None:
        """Waits while `most` are there. A list is never cut: the last one may go beyond."""
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

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    def stage(self, name: str, *producers: AsyncGenerator[list[T], None], most: int = MOST_WAITING) -> Stream[T]:
        """Starts a stage; with several producers their lists come out mixed. About `most` items may wait."""
        stream: Stream[T] = Stream(len(producers), most)
        for number, producer in enumerate(producers):
            self._tasks.append(self._group.create_task(stream.pump(producer), name=f"{name}/{number}"))
        return stream

    def stop(self) -> None:
        """Ends stages whose consumer has left early."""
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    """A line that lives as long as the `async with`; leaving it, in whatever way, ends all its stages."""
    try:
        async with asyncio.TaskGroup() as group:
            built = Line(group)
            yield built
            built.stop()
    except BaseExceptionGroup as failures:
        raise _first(failures) from None


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended the line: the others are its echo."""
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
