"""The toy twin: a provider in memory, for tests of those who follow boxes. What can go wrong is a small class each."""

from __future__ import annotations

import asyncio

from forged.discovery.reading import BoxList, box_id
from forged.model.boxes import Box, BoxId
from forged.model.errors import DiscoveryError, DiscoveryThrottled

WHO = "the provider in memory"


class Fault:
    """Asked before each answer; does nothing. A subclass raises, or answers something else."""

    async def before_answer(self, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
        """What is answered instead of `boxes`."""
        return boxes


class Fail(Fault):
    """The next `times` questions end with `error`; None = all of them, until the fault is taken away."""

    def __init__(self, error: DiscoveryError | None = None, times: int | None = None) -> None:
        self.error = error or DiscoveryError(f"{WHO} answers 500")
        self.left = times

    async def before_answer(self, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
        if self.left == 0:
            return boxes
        self.left = None if self.left is None else self.left - 1
        raise self.error


class Throttle(Fail):
    """Asked too often."""

    def __init__(self, retry_after_s: float | None = None, times: int | None = None) -> None:
        super().__init__(DiscoveryThrottled(f"{WHO} wants to be asked less often", retry_after_s=retry_after_s), times)


class Hang(Fault):
    """It never answers; the question ends with its deadline, as with the others."""

    def __init__(self, deadline_s: float = 30.0) -> None:
        self.deadline_s = deadline_s

    async def before_answer(self, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
        await asyncio.sleep(self.deadline_s)
        raise DiscoveryError(f"{WHO} does not answer within {self.deadline_s:g} s")


class MemoryDiscovery:
    """The promises are in discovery/base."""

    def __init__(self, label: str | None = None) -> None:
        self.faults: list[Fault] = []
        self.asked = 0
        """How often."""
        self.told: tuple[str, ...] = ()
        """What `warnings` answers."""
        self._label = label
        self._boxes: dict[BoxId, Box] = {}

    def put(self, box: Box) -> None:
        """There is such a box now, in place of the one of the same id."""
        self._boxes[box.id] = box

    def take(self, id: BoxId) -> None:
        """There is no such box any more."""
        del self._boxes[id]

    async def boxes(self) -> tuple[Box, ...]:
        self.asked += 1
        boxes = tuple(self._boxes.values())
        for fault in self.faults:
            boxes = await fault.before_answer(boxes)
        answer = BoxList(WHO, self._label)
        for box in boxes:
            box_id(box.id, WHO)
            answer.add(box)
        return answer.boxes()

    def warnings(self) -> tuple[str, ...]:
        return self.told

    async def aclose(self) -> None:
        """Nothing is held."""
