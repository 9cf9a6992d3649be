"""Signs of life: whether tasks that must never stand still still move, and where one that does not is standing.

A task that ended is noticed by whoever holds it (`tasks`). One that waits for what never comes looks as if all were well: it has no
error, and the loop turns.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

Alive = Callable[[], None]
"""A sign of life: called by the task itself, each time it has come round."""

STEPS_TOLD = 8
"""The innermost steps of a waiting task tell the most; a message is read in one line."""


class Signs:
    """Who has to give signs of life, and when each gave the last one."""

    def __init__(self, most_s: float, now_s: Callable[[], float]) -> None:
        """One who is silent for more than `most_s` stands still. `now_s`: seconds that only run forward."""
        self._most_s = most_s
        self._now_s = now_s
        self._last_s: dict[str, float] = {}

    def of(self, name: str) -> Alive:
        """The sign that `name` is to give from now on; it counts as given once."""

        def alive() -> None:
            self._last_s[name] = self._now_s()

        alive()
        return alive

    def still(self) -> dict[str, float]:
        """Those who stand still, and for how many seconds they have given no sign."""
        now_s = self._now_s()
        return {name: now_s - last_s for name, last_s in self._last_s.items() if now_s - last_s > self._most_s}


def where(name: str) -> str:
    """Where the task of that name waits: its innermost steps, the outermost of them first. Empty where there is no such task.

    Python's own Task.get_stack tells the outermost step only.
    """
    task = next((task for task in asyncio.all_tasks() if task.get_name() == name), None)
    steps: list[str] = []
    awaited: object = task and task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        steps.append(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}")
        awaited = getattr(awaited, "cr_await", None)
    return " > ".join(steps[-STEPS_TOLD:])
