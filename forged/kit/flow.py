"""A line of stages: each is an async generator of lists that runs in a named task and hands over through a bounded queue.

Stages overlap (one scans while the next one hashes), memory is bounded by the queues, and the first failure ends the whole line
with its own exception, not with a group.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Stream(Generic[T]):
    """What comes out of a stage. Several consumers may share it: each list goes to exactly one of them."""

    def __init__(self, depth: int, producers: int) -> None:
        self._queue: asyncio.Queue[list[T] | None] = asyncio.Queue(depth)
        self._producers = producers

    def __aiter__(self) -> AsyncIterator[list[T]]:
        return self

    async def __anext__(self) -> list[T]:
        items = await self._queue.get()
        if items is None:
            self._queue.put_nowait(None)  # the other consumers want to know it, too; there is room, one was just taken
            raise StopAsyncIteration
        return items

    async def batches(self, most: int) -> AsyncGenerator[list[T], None]:
        """Waits for one list, then takes what else is there already: large batches under load, no delay without."""
        async for batch in self:
            while len(batch) < most and not self._queue.empty():
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put_nowait(None)
                    break
                batch = batch + more
            yield batch

    async def pump(self, items: AsyncGenerator[list[T], None]) -> None:
        """Carries one producer's lists into the queue; the last producer closes it."""
        async with aclosing(items) as stream:
            async for item in stream:
                if item:
                    await self._queue.put(item)
        self._producers -= 1
        if not self._producers:
            await self._queue.put(None)


class Line:
    """Where stages are added; made by `line()`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    def stage(self, name: str, *producers: AsyncGenerator[list[T], None], depth: int = 4) -> Stream[T]:
        """Starts a stage; with several producers their lists come out mixed. `depth` lists may wait."""
        stream: Stream[T] = Stream(depth, len(producers))
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
