"""Running one command's coroutine: on uvloop, and with an orderly end when somebody presses Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

import uvloop

T = TypeVar("T")


class Interrupted(Exception):
    """SIGINT or SIGTERM ended the command; everything it had open was closed in order. `exit_code` is 128 + the signal."""

    def __init__(self, number: signal.Signals) -> None:
        self.exit_code = 128 + number
        super().__init__(number.name)


def run(work: Coroutine[None, None, T]) -> T:
    """The result of `work`. The first signal cancels it and waits for its clean-up; a second one of that kind ends at once."""
    received: list[signal.Signals] = []

    async def watched() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _cancel, task, number, received)
        return await work

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(watched())
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None


def _cancel(task: asyncio.Task[object], number: signal.Signals, received: list[signal.Signals]) -> None:
    received.append(number)
    asyncio.get_running_loop().remove_signal_handler(number)
    signal.signal(number, signal.SIG_DFL)  # whoever asks twice means it
    task.cancel()
