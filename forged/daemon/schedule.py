"""The timetable: when each target is due for a poll or a cleanup. It only asks; the work is done, waited for and ended elsewhere.

The only module that knows APScheduler (3.11). What it must not be left to itself with:
- Its own triggers list every run that was missed. A clock that leaps from 1970 to today would make millions of them before the
  first one runs, so ours look forward from now only: however much was missed, it is one run.
- It waits by the loop's clock for a moment of the wall clock. When the wall clock is set back, or the machine slept, polls would
  stay away for hours; so the timetable looks at the clock every `LOOK_S` and pulls in what is further away than it can be.
- It would run a plain function in a thread, and a coroutine would be cancelled by its shutdown.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from forged.kit.localtime import LocalTime
from forged.model.target import Target, TargetName

LOOK_S = 30.0
"""How late a run may be after the clock was set or the machine slept: the default `poll`."""

JITTER_SHARE = 0.1
JITTER_MOST_S = 5.0
"""A run comes up to a tenth of its interval later, at most so many seconds, or the same targets would meet again and again."""

START_SPREAD_S = 0.05
"""At the start, so much for each target: what setting up an SSH connection costs in CPU time. 100 targets begin within 5 s."""

FIRST_CLEANUP_S = 60.0
"""The first cleanup comes no later than this. After whole intervals only, a daemon restarted every day would never clean up."""

_SECOND = timedelta(seconds=1)


class Errand(enum.Enum):
    """What a target is due for."""

    POLL = "poll"
    CLEANUP = "cleanup"


Ask = Callable[[TargetName, Errand], object]
"""Takes an errand to where the work is done, at once, or leaves it out: such a one is under way, or nobody wants it now."""


@dataclass(frozen=True, slots=True)
class _Every:
    """So many seconds after the last one."""

    seconds: float

    def next(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.seconds)

    def after_change(self, was: datetime, now: datetime) -> datetime:
        """The next run when this rhythm takes the place of another: never later than `was`, or reloads could starve it."""
        return min(was, self.next(now))

    @property
    def jitter_s(self) -> float:
        return min(self.seconds * JITTER_SHARE, JITTER_MOST_S)


@dataclass(frozen=True, slots=True)
class _Cron:
    """When a cron line says so, in local time. A time that a clock change leaves out comes an hour later; one that it gives twice
    comes twice."""

    line: str
    zone: tzinfo

    def next(self, now: datetime) -> datetime:
        # Whole seconds, stepped in UTC: adding to a local time would lose which of two equal hours it is in.
        after = (now.replace(microsecond=0) + _SECOND).astimezone(self.zone)
        moment: datetime = CronTrigger.from_crontab(self.line, timezone=self.zone).get_next_fire_time(None, after)
        return moment.astimezone(UTC)

    def after_change(self, was: datetime, now: datetime) -> datetime:
        """The next run when this rhythm takes the place of another: by the calendar, but what is already due still comes."""
        return was if was <= now else self.next(now)

    @property
    def jitter_s(self) -> float:
        return JITTER_MOST_S


_Rhythm = _Every | _Cron


class _Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """A rhythm, as APScheduler asks for it."""

    def __init__(self, rhythm: _Rhythm, chance: Callable[[], float]) -> None:
        self.rhythm = rhythm
        self._chance = chance

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next run after now, never one in between: see above."""
        return self.rhythm.next(now) + timedelta(seconds=self.rhythm.jitter_s * self._chance())

    def latest(self, now: datetime) -> datetime:
        """No run that was planned before `now`, by a clock that only runs forward, can be later than this."""
        return self.rhythm.next(now) + timedelta(seconds=self.rhythm.jitter_s)


class _OnTheLoop(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """Calls a job's function from the event loop: no thread, and an exception reaches the loop's handler instead of a log line."""

    def _do_submit_job(self, job: Job, run_times: Sequence[datetime]) -> None:
        asyncio.get_running_loop().call_soon(self._call, job)

    def _call(self, job: Job) -> None:
        self._run_job_success(job.id, [])
        job.func(*job.args)


class Timetable:
    """Asks for what is due. Set the targets at the start and again at each reload; either may come before `start`.

    All times are those of the machine's own clock, which APScheduler reads by itself. To be used from the event loop's thread.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        chance: Callable[[], float] = random.random,
        zone: tzinfo | None = None,
    ) -> None:
        """`chance` answers numbers in [0, 1), as `random.random` does; `zone` is that of cron lines, None = the machine's."""
        self._ask = ask
        self._chance = chance
        self._zone = zone or LocalTime()
        self._names: set[TargetName] = set()
        self._next_look: asyncio.TimerHandle | None = None
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            logger=_quiet_logger(),
            executors={"default": _OnTheLoop()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},  # nothing is ever skipped as late
        )

    def start(self) -> None:
        """Begins to ask. Once only: what was stopped stays so."""
        self._scheduler.start()
        self._look_later()

    def stop(self) -> None:
        """Asks no more, from now on. Does not wait for what was asked for. May be called twice."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
            self._scheduler.shutdown(wait=False)

    def set(self, target: Target) -> None:
        """Makes the target due as it asks to be.

        A new target with `poll` is due at once, with a little spread where there are many, one with a cron line when that says so.
        Of a known target only what has changed is touched, and is due no later than it would have been; a cron line counts at once.
        Setting a copy with a longer `poll_s`, and later the target again, stretches its polls for a while.
        """
        self._names.add(target.name)
        timing = target.timing
        poll = _Cron(timing.schedule, self._zone) if timing.schedule else _Every(timing.poll_s)
        self._set(target.name, Errand.POLL, poll)
        self._set(target.name, Errand.CLEANUP, _Every(target.cleanup.every_s) if target.cleanup else None)

    def remove(self, name: TargetName) -> None:
        """The target is due no more. Nothing happens where it is not known."""
        for errand in Errand:
            self._set(name, errand, None)
        self._names.discard(name)

    def next_run(self, name: TargetName, errand: Errand) -> datetime | None:
        """When this is due next (UTC). None: never."""
        job = self._scheduler.get_job(_job_id(name, errand))
        return job.next_run_time if job else None

    def look(self) -> None:
        """Looks at the clock at once: asks for what has become due, and pulls in what a clock set back has put out of reach.

        Happens by itself every `LOOK_S`. Needs to be called only by who knows that the clock was set, and by tests.
        """
        now = _now()
        for job in self._scheduler.get_jobs():
            if job.next_run_time > job.trigger.latest(now):
                self._scheduler.modify_job(job.id, next_run_time=job.trigger.get_next_fire_time(None, now))
        if self._next_look is not None:
            self._scheduler.wakeup()

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(LOOK_S, self._look_again)

    def _look_again(self) -> None:
        self.look()
        self._look_later()

    def _set(self, name: TargetName, errand: Errand, rhythm: _Rhythm | None) -> None:
        job = self._scheduler.get_job(_job_id(name, errand))
        if rhythm is None:
            if job is not None:
                job.remove()
        elif job is None:
            self._add(name, errand, rhythm)
        elif job.trigger.rhythm != rhythm:
            self._change(job, rhythm)

    def _add(self, name: TargetName, errand: Errand, rhythm: _Rhythm) -> None:
        self._scheduler.add_job(
            self._fall_due,
            _Trigger(rhythm, self._chance),
            args=(name, errand),
            id=_job_id(name, errand),
            next_run_time=self._first_run(errand, rhythm),
        )

    def _change(self, job: Job, rhythm: _Rhythm) -> None:
        """Never APScheduler's reschedule_job, which counts the interval anew."""
        next_run = rhythm.after_change(job.next_run_time, _now())
        self._scheduler.modify_job(job.id, trigger=_Trigger(rhythm, self._chance), next_run_time=next_run)

    def _first_run(self, errand: Errand, rhythm: _Rhythm) -> datetime:
        now = _now()
        spread = timedelta(seconds=START_SPREAD_S * (len(self._names) - 1) * self._chance())
        if isinstance(rhythm, _Cron):
            return rhythm.next(now) + spread
        first_s = min(rhythm.seconds, FIRST_CLEANUP_S) if errand is Errand.CLEANUP else 0.0
        return now + timedelta(seconds=first_s) + spread

    def _fall_due(self, name: TargetName, errand: Errand) -> None:
        # All may have been stopped, or the target removed, since the loop was asked to call this.
        if self._next_look is not None and self.next_run(name, errand) is not None:
            self._ask(name, errand)


def _job_id(name: TargetName, errand: Errand) -> str:
    return f"{errand.value} {name}"


def _now() -> datetime:
    return datetime.now(UTC)


def _quiet_logger() -> logging.Logger:
    """APScheduler tells of every job at every run, in two lines. Who wants to know sees it in what the daemon itself says."""
    logger = logging.getLogger("forged.timetable")
    logger.setLevel(logging.WARNING)
    return logger
