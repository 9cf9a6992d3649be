"""The jobs: those that run, with their progress, and the recent ones in the store. Tells subscribers, but never waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from forged.daemon.progress import Progress, TargetProgress
from forged.kit.clock import Clock
from forged.model.jobs import Job, JobId, JobResult, JobStatus, new_job_id
from forged.model.observer import Everyone, Observer
from forged.store.base import Store

TELL_EVERY_S = 0.25
"""At most four notifications a second for each job (DESIGN section 6)."""


@dataclass(slots=True, eq=False)
class ActiveJob:
    """A job that has not ended. `ended` is set when it has; `cancel` ends it early."""

    job: Job
    progress: Progress
    ended: asyncio.Event
    cancel: Callable[[], None] | None = None
    """Set while it runs; before that, cancelling just takes it from the queue."""
    cancelled: bool = False

    @property
    def numbers(self) -> TargetProgress:
        return self.progress.targets[self.job.target]

    def beside(self, observer: Observer) -> Observer:
        """An observer that counts for this job and passes everything on."""
        return Everyone(self.progress, observer)


class JobBook:
    """Opens and closes jobs; knows the active ones. `on_progress` and `on_end` tell whoever subscribed."""

    def __init__(
        self, store: Store, clock: Clock, on_progress: Callable[[ActiveJob, Job], None], on_end: Callable[[Job], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_progress = on_progress
        self._on_end = on_end
        self.active: dict[JobId, ActiveJob] = {}

    def open(self, target: str, folders: Sequence[str] = ()) -> ActiveJob:
        """A new job, waiting for its turn."""
        job = Job(new_job_id(), target, JobStatus.PENDING, self._clock.now_ns(), tuple(folders))
        progress = Progress(self._clock)
        progress.expect([target])
        active = ActiveJob(job, progress, asyncio.Event())
        self.active[job.id] = active
        return active

    async def begin(self, active: ActiveJob, *, keep: bool) -> None:
        """Its turn has come. A kept one is remembered from now on: should forged die, it is told as failed after the next start."""
        active.job = replace(active.job, status=JobStatus.SCANNING)
        if keep:
            await self._store.jobs.save(active.job)

    async def end(self, active: ActiveJob, ended: Job, *, keep: bool = True) -> None:
        """It is over. `keep` False: nothing happened that anybody would want to read about (a poll that found nothing)."""
        active.job = ended
        self.active.pop(ended.id, None)
        try:
            if keep:
                await self._store.jobs.save(ended)
        finally:
            active.ended.set()
            self._on_end(ended)

    async def cancel_unstarted(self, active: ActiveJob, reason: str, *, keep: bool) -> None:
        """It never ran and never will."""
        status = JobStatus.CANCELLED if active.cancelled else JobStatus.FAILED
        result = JobResult(False, 0, 0, 0.0, (reason,))
        await self.end(active, replace(active.job, status=status, end_ns=self._clock.now_ns(), result=result), keep=keep)

    async def find(self, id: JobId) -> Job | None:
        """The job, active or recent."""
        active = self.active.get(id)
        return self.status_of(active) if active else await self._store.jobs.get(id)

    async def recent(self, limit: int, before: Job | None = None) -> Sequence[Job]:
        """Jobs of the store, newest first."""
        return await self._store.jobs.recent(limit, before)

    def status_of(self, active: ActiveJob) -> Job:
        """The job with the stage it is in: transferring as soon as there is something to transfer."""
        if active.job.status is not JobStatus.SCANNING:
            return active.job
        numbers = active.numbers
        moving = numbers.wanted_files > 0
        processing = moving and not numbers.scanning and numbers.landed_files >= numbers.total_files
        stage = JobStatus.PROCESSING if processing else JobStatus.TRANSFERRING if moving else JobStatus.SCANNING
        return replace(active.job, status=stage)

    async def keep_telling(self) -> None:
        """Runs as long as the daemon: tells the progress of active jobs."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            for active in list(self.active.values()):
                self._on_progress(active, self.status_of(active))
