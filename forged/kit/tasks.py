"""Eternal tasks with names and guards: one that ends without being asked to is an event, never a silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")

Ended = Callable[[str, BaseException | None], None]
"""Told the name of a task that ended by itself, and the exception that ended it (None = it just returned)."""


async def to_the_end(work: Coroutine[None, None, T]) -> T:
    """Carries `work` out even if the caller is cancelled in the middle; the cancellation goes on when it is done.

    For notes that must not be half written. A second cancellation does not wait any more.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Tasks:
    """A set of guarded tasks with one life. A task that ends by itself is reported; the others go on."""

    def __init__(self, on_end: Ended) -> None:
        self._on_end = on_end
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Starts `work` under this name. ValueError if a task of that name still runs."""
        if name in self._tasks:
            work.close()
            raise ValueError(f"the task {name!r} runs already")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._done(name, done))

    def _done(self, name: str, task: asyncio.Task[None]) -> None:
        asked = self._tasks.get(name) is not task
        if not asked:
            del self._tasks[name]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None or not asked:  # a fault on the way out is news even of a task that was told to go
            self._on_end(name, error)

    async def stop(self, name: str) -> None:
        """Cancels the task and waits until it has ended. One that does not run is fine."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop_all(self) -> None:
        """Stops all, the last started first."""
        for name in reversed(list(self._tasks)):
            await self.stop(name)

    @property
    def names(self) -> list[str]:
        return list(self._tasks)


class Eternal:
    """Tasks that are needed for as long as the program lives: one that stumbles over a fault of ours begins anew after a rest.

    A watchman who died without a successor would be a silence.
    """

    def __init__(self, on_end: Ended, rest_s: float) -> None:
        """`rest_s`: the same fault again must not fill a log."""
        self._on_end = on_end
        self._rest_s = rest_s
        self._work: dict[str, Callable[[], Coroutine[None, None, None]]] = {}
        self._tasks = Tasks(self._ended)

    def start(self, name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """`work` makes the coroutine, as often as it is needed. ValueError if a task of that name still runs."""
        self._work[name] = work
        self._tasks.start(name, work())

    def _ended(self, name: str, error: BaseException | None) -> None:
        self._on_end(name, error)
        asyncio.get_running_loop().call_later(self._rest_s, self._again, name)

    def _again(self, name: str) -> None:
        if name in self._work and name not in self._tasks.names:
            self._tasks.start(name, self._work[name]())

    async def stop(self, name: str) -> None:
        """For good."""
        self._work.pop(name, None)
        await self._tasks.stop(name)

    async def stop_all(self) -> None:
        """For good; the last started first."""
        self._work.clear()
        await self._tasks.stop_all()
