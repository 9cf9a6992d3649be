"""The jobs: those that run, with their progress, and the recent ones in the store. Tells subscribers, but never waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from forged.daemon.progress import Progress, TargetProgress
from forged.kit.clock import Clock
from forged.kit.signs import Alive
from forged.model.jobs import Job, JobId, JobStatus, new_job_id
from forged.model.observer import Everyone, Observer
from forged.store.base import JOBS_KEPT, Store

TELL_EVERY_S = 0.25
"""At most four notifications a second for each job. Fixed: part of the interface."""


@dataclass(slots=True, eq=False)
class ActiveJob:
    """A job that has not ended. `ended` is set when it has; `job` is then as it ended."""

    job: Job
    progress: Progress
    ended: asyncio.Event

    @property
    def numbers(self) -> TargetProgress:
        return self.progress.targets[self.job.target]

    def beside(self, observer: Observer) -> Observer:
        """An observer that counts for this job and passes everything on."""
        return Everyone(self.progress, observer)


class JobBook:
    """Opens and closes jobs; knows the active ones. `on_progress` and `on_end` tell whoever subscribed.

    `on_end` also hears whether the job is kept: polls that found nothing are not, and nobody wants to read about them.
    """

    def __init__(
        self, store: Store, clock: Clock, on_progress: Callable[[ActiveJob, Job], None], on_end: Callable[[Job, bool], None]
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

    async def end(self, active: ActiveJob, ended: Job, *, keep: bool) -> None:
        """It is over; only the first end counts. With `keep` it is remembered. Raises StoreError; it has ended all the same."""
        if self.active.pop(ended.id, None) is None:
            return
        active.job = ended
        try:
            if keep:
                await self._store.jobs.save(ended)
        finally:
            active.ended.set()
            self._on_end(ended, keep)

    async def find(self, id: JobId) -> Job | None:
        """The job of this id or sync_id, active or recent."""
        for active in self.active.values():
            if id in (active.job.id, active.job.sync_id):
                return self.status_of(active)
        found = await self._store.jobs.get(id)
        if found is None and id.startswith("sync_"):
            recent = await self._store.jobs.recent(JOBS_KEPT)
            found = next((job for job in recent if job.sync_id == id), None)
        return found

    async def recent(self, limit: int, before: Job | None = None) -> Sequence[Job]:
        """Jobs of the store, newest first."""
        return await self._store.jobs.recent(limit, before)

    async def last_successes(self) -> dict[str, int]:
        """When a job of each target last ended well, as far as that is remembered: of looks that found nothing it is not."""
        ended: dict[str, int] = {}
        for job in await self._store.jobs.recent(JOBS_KEPT):
            if job.result is not None and job.result.success and job.end_ns is not None:
                ended[job.target] = max(job.end_ns, ended.get(job.target, 0))
        return ended

    def status_of(self, active: ActiveJob) -> Job:
        """The job with the stage it is in: transferring as soon as there is something to transfer."""
        if active.job.status is not JobStatus.SCANNING:
            return active.job
        numbers = active.numbers
        moving = numbers.wanted_files > 0
        processing = moving and not numbers.scanning and numbers.landed_files >= numbers.total_files
        stage = JobStatus.PROCESSING if processing else JobStatus.TRANSFERRING if moving else JobStatus.SCANNING
        return replace(active.job, status=stage)

    async def keep_telling(self, alive: Alive) -> None:
        """Runs as long as the daemon: tells the progress of active jobs."""
        while True:
            alive()
            await asyncio.sleep(TELL_EVERY_S)
            for active in list(self.active.values()):
                self._on_progress(active, self.status_of(active))
