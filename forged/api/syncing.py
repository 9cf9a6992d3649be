"""One sync of the Python API as a job, carried out as the daemon carries out ad-hoc syncs."""

from __future__ import annotations

import inspect
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace

from forged.api.models import SyncProgress
from forged.api.state import State
from forged.api.telling import MediaEventManager
from forged.daemon import answers
from forged.daemon.adhoc_work import AdHocWork, with_words
from forged.daemon.app import App
from forged.daemon.jobbook import ActiveJob, JobBook
from forged.kit.logs import logger
from forged.kit.tasks import Tasks
from forged.model.jobs import Job, JobStatus
from forged.model.observer import Nobody
from forged.model.target import Target

ProgressCallback = Callable[[SyncProgress], object]
"""Called at most four times a second, and at the end. May be a coroutine function."""

_TICKER = "progress"


class Syncing:
    """Made while the state is open; `run` once."""

    def __init__(
        self, app: App, state: State, target: Target, about: Sequence[str], told: ProgressCallback | None, events: MediaEventManager
    ) -> None:
        self._app, self._state, self._target, self._told, self._events = app, state, target, told, events
        self._log = logger("forged.api")
        self._book = JobBook(app.store, app.clock, self._tell, lambda job, kept: None)
        self._active: ActiveJob = self._book.open(target.name, about)
        self._tasks = Tasks(self._task_ended)
        self._ended: Job | None = None

    @property
    def job(self) -> Job:
        """How it stands. It has ended when its events are delivered, too."""
        if self._ended is not None:
            return self._ended
        job = self._book.status_of(self._active)
        return replace(job, status=JobStatus.PROCESSING, end_ns=None, result=None) if job.status.ended else job

    @property
    def progress(self) -> SyncProgress:
        if self._ended is not None and self._ended.status is JobStatus.COMPLETE:
            return SyncProgress(**answers.last_progress(self._ended))
        return SyncProgress(**answers.progress(self.job, self._active.numbers, self._app.clock.monotonic_s()))

    async def run(self, table: Mapping[str, object]) -> Job:
        """Answers the ended job; trouble is in its result. Cancelled, the job is so, too."""
        self._state.remember(self._target, table)
        if self._told is not None:
            self._tasks.start(_TICKER, self._book.keep_telling(_alive))
        try:
            await AdHocWork(self._app, self._book, Nobody(), self._log).run(self._active, self._target)
            words = await self._events.bring(self._app, self._target, self._active.job)
            self._ended = with_words(self._active.job, words)
        except CancelledError:
            self._ended = self._active.job
            raise
        finally:
            await self._tasks.stop(_TICKER)
        self._tell(self._active, self._ended)
        return self._ended

    def _tell(self, active: ActiveJob, stage: Job) -> None:
        if self._told is not None:
            answer = self._told(self.progress)
            if inspect.iscoroutine(answer):
                self._tasks.start(f"{_TICKER} {id(answer)}", _awaited(answer))

    def _task_ended(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            self._log.error("a progress callback failed", task=name, exc_info=error, hint="the sync goes on; mend the callback")


def _alive() -> None:
    """Nobody watches over this ticker: it ends with its sync."""


async def _awaited(answer: Coroutine[None, None, object]) -> None:
    await answer
