"""One place for a worker: what it is asked, in order, and what becomes of that when it dies."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from msgspec import structs

from forged.media.base import Found, Opened, Wanted
from forged.media.worker.letters import UNREAD, Answered, Asked, Named, Opening
from forged.media.worker.process import Worker
from forged.model.errors import WorkerMissing

DEPTH = 2
"""Requests at one worker: while it answers one, the next is there already. On an idle loop that is nothing (0.13 ms a small file
either way); on one that is busy 2 ms at a time a small file takes 2 ms instead of 3.7."""

GOES_ON = 0.01
"""Of the processor, from which on a worker that is late is only held up: one that sleeps has none."""


@dataclass(slots=True, eq=False)
class Job:
    """One file that somebody waits for. `problems`: why an earlier try failed."""

    file: Opened
    companions: Sequence[Opened]
    wanted: Wanted
    answer: asyncio.Future[Found]
    problems: tuple[str, ...] = ()
    was_killed: bool = False

    @property
    def files(self) -> tuple[Opened, ...]:
        return (self.file, *self.companions)

    def asked(self, number: int) -> Asked:
        """As a worker is asked. A name may hold what no text can carry; it opens nothing."""
        names = (Named(file.name.encode(errors="replace").decode(), file.size_bytes) for file in self.files)
        return Asked(number, tuple(names), self.wanted)

    def finish(self, found: Found) -> None:
        """Whoever waits no longer has cancelled the future."""
        if not self.answer.done():
            info = structs.replace(found.info, problems=self.problems + found.info.problems)
            self.answer.set_result(replace(found, info=info))

    def fail(self, error: WorkerMissing) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def give_up(self, why: str) -> None:
        """The last word on it. The same twice is said once."""
        self.problems += (why,) if why not in self.problems else ()
        self.finish(Found(UNREAD))

    def may_go_on(self, why: str, was_killed: bool) -> bool:
        """After the first failure it is tried once more, for the metadata alone: a picture that kills its decoder does not cost the
        prompt. After the second one it is given up. A worker that somebody killed (the kernel, short of memory) counts from the
        second time on: the picture may have had no part in it."""
        if was_killed and not self.was_killed:
            self.was_killed = True
            return True
        if self.problems:
            self.give_up(why)
            return False
        self.problems = (why,)
        self.wanted = Wanted(metadata=self.wanted.metadata)
        return True


class Slot:
    """Holds at most one worker, started when it is needed. Answers come in the order of the requests, and by their numbers."""

    def __init__(self, opening: Opening, on_room: Callable[[], None]) -> None:
        """`on_room` is called when there may be room for another job."""
        self._opening = opening
        self._limits = opening.limits
        self._on_room = on_room
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[tuple[int, Job]] = deque()
        self._numbers = itertools.count(1)
        self._worker: Worker | None = None
        self._asked = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._waited_s = self._had_cpu_s = 0.0
        self._is_retired = False
        self.leaving: set[asyncio.Future[None]] = set()
        """Of processes that are to end and have not yet."""
        self.confinement = ""
        """What holds its worker besides the limits; empty before there is one that is ready."""

    @property
    def room(self) -> int:
        """How many jobs it would take now."""
        return 0 if self._is_retired or self._asked >= self._limits.files else DEPTH - len(self._jobs)

    @property
    def pid(self) -> int | None:
        """Of its worker, while there is one."""
        return self._worker.pid if self._worker is not None else None

    def take(self, job: Job) -> None:
        """Its answer comes when it is done; WorkerMissing where no process can be had."""
        if job.answer.done():  # cancelled; its descriptors may be other files by now
            return
        number = next(self._numbers)
        try:
            worker = self._worker or self._start()
            self._jobs.append((number, job))
            worker.ask(job.asked(number), [file.fd for file in job.files])
        except ConnectionError:  # it has died; `lost` is about to be called
            pass
        except OSError as e:
            self._jobs = deque(each for each in self._jobs if each[0] != number)
            job.fail(WorkerMissing(f"no process can be started that looks into files: {e.strerror or e}"))
            return
        self._asked += 1
        if self.confinement and len(self._jobs) == 1:
            self._begin()

    def _start(self) -> Worker:
        self._worker, self._asked, self.confinement = Worker(self._opening, self), 0, ""
        self._set_alarm(self._limits.start_s, partial(self._overdue, self._limits.start_s))
        return self._worker

    # --- what a worker tells --------------------------------------------------------------------------------------------------

    def ready(self, confinement: str) -> None:
        if self.confinement:  # it would put off its deadline so
            self._is_no_worker()
            return
        self.confinement = confinement
        self._next()

    def answered(self, answer: Answered) -> None:
        if not self._jobs or self._jobs[0][0] != answer.number:
            self._is_no_worker()
            return
        self._jobs.popleft()[1].finish(answer.found)
        self._next()
        self._on_room()

    def _is_no_worker(self) -> None:
        self._kill()
        self.lost("answered what nobody asked, and was ended")

    def lost(self, why: str, *, was_killed: bool = False) -> None:
        """The first job is the one that it died of, if it ever was ready; the others begin again with the next worker."""
        was_ready, jobs = bool(self.confinement), [job for _, job in self._jobs]
        self._forget()
        if not was_ready:
            for job in jobs:
                job.fail(WorkerMissing(f"no process can be started that looks into files: a new one {why}"))
        elif jobs and not jobs[0].may_go_on(f"the process that read it {why}", was_killed):
            del jobs[0]
        for job in jobs if was_ready else ():
            self.take(job)
        self._on_room()

    # --- time -----------------------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """The time of the next job begins, or that of idling."""
        if self._jobs:
            self._begin()
        elif self._is_retired or self._asked >= self._limits.files:
            self._end()
        else:
            self._set_alarm(self._limits.idle_s, self._end)

    def _begin(self) -> None:
        self._waited_s = 0.0
        self._wait()

    def _wait(self) -> None:
        self._had_cpu_s = self._worker.cpu_s if self._worker is not None else 0.0
        self._set_alarm(self._limits.wall_s, self._late)

    def _late(self) -> None:
        """A picture does not pay for a machine that is busy; one that hangs has had nothing of the processor either."""
        self._waited_s += self._limits.wall_s
        had_s = self._worker.cpu_s - self._had_cpu_s if self._worker is not None else 0.0
        if had_s >= self._limits.wall_s * GOES_ON and self._waited_s < self._limits.busy_wall_s:
            self._wait()
        else:
            self._overdue(self._waited_s)

    def _set_alarm(self, seconds: float, action: Callable[[], None]) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(seconds, action)

    def _overdue(self, limit_s: float) -> None:
        self._kill()
        self.lost(f"took more than {limit_s:g} s and was ended")

    # --- ends -----------------------------------------------------------------------------------------------------------------

    def retire(self) -> None:
        """Takes nothing more; its worker ends when it has answered."""
        self._is_retired = True
        if not self._jobs:
            self._end()

    def close(self) -> None:
        """Now; whoever waits hears that it was not read to the end."""
        self._is_retired = True
        self._kill()
        jobs = [job for _, job in self._jobs]
        self._forget()
        for job in jobs:
            job.give_up("forged stopped while it was being read")

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._await(self._worker)
            self._forget()

    def _kill(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._await(self._worker)

    def _await(self, worker: Worker) -> None:
        if not worker.gone.done():
            self.leaving.add(worker.gone)
            worker.gone.add_done_callback(self.leaving.discard)

    def _forget(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._worker, self._asked, self.confinement = None, 0, ""
        self._jobs.clear()
