"""The body of `media.base.Examiner`: several workers, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from forged.media.base import Found, Opened, Wanted
from forged.media.worker.letters import MOST_COMPANIONS, Opening
from forged.media.worker.limits import Limits
from forged.media.worker.slot import Job, Slot

END_S = 5.0
"""How long killed workers may take to be gone. One that hangs on a disk is left to the kernel."""


class WorkerExaminer:
    """Looks into files in processes of their own, which it starts when they are needed and ends when they are not.

    First come, first served. Make it in the thread of the event loop that it is used in, the one that lasts as long as the program:
    the kernel kills workers with the thread that started them.
    """

    def __init__(self, workers: int, looker: str, limits: Limits | None = None) -> None:
        """`looker`: a function of a module, by its name: workers import it."""
        self._opening = Opening(looker, limits or Limits())
        self._waiting: deque[Job] = deque()
        self._slots: list[Slot] = []
        self._retired: list[Slot] = []
        self.resize(workers)

    def resize(self, workers: int) -> None:
        """From now on so many, at least one. Workers too many finish what they do."""
        while len(self._slots) < max(workers, 1):
            self._slots.append(Slot(self._opening, self._deal))
        self._retired = [slot for slot in self._retired if slot.pid is not None or slot.leaving]
        while len(self._slots) > max(workers, 1):
            slot = self._slots.pop()
            slot.retire()
            self._retired.append(slot)
        self._deal()

    @property
    def confinement(self) -> str:
        """What holds workers besides their limits (`landlock 7, seccomp`); empty before one was ready."""
        return next((slot.confinement for slot in self._slots if slot.confinement), "")

    @property
    def pids(self) -> list[int]:
        """Of the workers there are."""
        return [slot.pid for slot in (*self._slots, *self._retired) if slot.pid is not None]

    async def examine(self, file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
        """As the contract says."""
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        job = Job(file, companions[:MOST_COMPANIONS], wanted, answer)
        if not self._slots:
            job.give_up("forged stopped before it was read")
        self._waiting.append(job)
        self._deal()
        return await answer

    def _deal(self) -> None:
        """To whoever has least to do; a worker that runs before one that would have to be started."""
        while self._waiting and self._slots:
            slot = max(self._slots, key=lambda slot: (slot.room, slot.pid is not None))
            if slot.room <= 0:
                break
            slot.take(self._waiting.popleft())

    async def aclose(self) -> None:
        """As the contract says; for good."""
        slots = [*self._slots, *self._retired]
        self._slots = []
        while self._waiting:
            self._waiting.popleft().give_up("forged stopped before it was read")
        for slot in slots:
            slot.close()
        if leaving := [gone for slot in slots for gone in slot.leaving]:
            await asyncio.wait(leaving, timeout=END_S)
