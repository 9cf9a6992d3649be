"""Virtual time: a loop whose clock leaps to the next timer as soon as nobody has anything to do. Hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

P = ParamSpec("P")

BEGAN_NS = 1_700_000_000_000_000_000


PATIENCE_S = 0.1
"""For the next byte of a real socket, or the end of a thread, while the clock stands still. On loopback they take a millisecond."""


class _Leaping(selectors.DefaultSelector):
    """Never waits while a timer is set: it moves the clock instead."""

    now_s = 0.0
    outside = 0
    """How many wait for something that is real."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            ready = super().select(5.0)  # somebody's thread may still answer
            assert ready, "everybody waits for something that nobody will do"
            return ready
        ready = super().select(PATIENCE_S if self.outside else 0)
        if not ready:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """For tests without threads: a thread's work would take no time, or all of it. But see `outside`."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While real sockets or threads are at work: the clock moves only when they have nothing to say."""
        self._leaping.outside += 1
        try:
            yield
        finally:
            self._leaping.outside -= 1


class LoopClock:
    """The clock of whoever lives on a virtual loop."""

    def now_ns(self) -> int:
        return BEGAN_NS + round(self.monotonic_s() * 1e9)

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
