"""One ad-hoc sync as a job, from its begin to its end, whatever happens in between: the sync, a look into what landed, the cleanup.

Both who is asked over the control socket (`adhoc`) and the Python API have it done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from forged.daemon.app import App
from forged.daemon.jobbook import ActiveJob, JobBook
from forged.kit.logs import Log
from forged.model.errors import Cancelled, ForgedError, StoreError
from forged.model.jobs import Job, JobId, JobResult, JobStatus
from forged.model.observer import Observer
from forged.model.target import CleanupPolicy, Target
from forged.rules.selection import folders_to_list
from forged.sync.cleanup import run_cleanup
from forged.sync.cycle import sync_once
from forged.sync.doors import Doors
from forged.sync.homecheck import check_home
from forged.sync.looks import Looks

FAULT = "a fault in forged ended it: the log tells more"


class AdHocWork:
    """Carries out jobs that the book has opened."""

    def __init__(
        self, app: App, jobs: JobBook, observer: Observer, log: Log, on_end: Callable[[JobId], object] = lambda id: None
    ) -> None:
        """`on_end` hears of an end before anybody who waits for it does."""
        self._app = app
        self._jobs = jobs
        self._observer = observer
        self._log = log
        self._on_end = on_end

    async def run(self, active: ActiveJob, target: Target) -> None:
        """Its result is in the job when it returns or raises; only a fault of forged and a cancellation are raised."""
        ended = self._cut_short(active, JobStatus.FAILED, FAULT)
        try:
            await self._jobs.begin(active, keep=True)
            ended = await self._sync(active, target)
        except asyncio.CancelledError:
            ended = self._cut_short(active, JobStatus.CANCELLED, Cancelled().message)
            raise
        except ForgedError as error:
            ended = self._cut_short(active, JobStatus.FAILED, error.message)
        finally:
            await asyncio.shield(self._end(active, ended))

    async def never_began(self, active: ActiveJob) -> None:
        """It was cancelled before its first step."""
        await self._end(active, self._cut_short(active, JobStatus.CANCELLED, Cancelled().message))

    async def _sync(self, active: ActiveJob, target: Target) -> Job:
        async with self._app.doors(target, active.beside(self._observer)) as doors:
            result = await sync_once(doors, Looks(), active.job, folders_to_list((), target.selection))
            await self._app.enrichment(doors, lambda: [target.manifest]).drain()
            if not result.success or target.cleanup is None:
                return result.job
            return with_words(result.job, await self._clean_up(doors, target.cleanup))

    async def _clean_up(self, doors: Doors, policy: CleanupPolicy) -> list[str]:
        """One run. The sync has gone well, whatever becomes of this: answers in words what a person should know."""
        try:
            async with doors.source:
                await check_home(doors)
                result = await run_cleanup(doors, policy, dry_run=policy.dry_run)
        except ForgedError as error:
            return [f"cleanup: {error.message}"]
        hold = await doors.store.flags.hold(doors.target.manifest)
        held = [f"cleanup: held: {hold.message}"] if hold else []
        return held + ([f"cleanup: {result.error.message} ({result.error.hint})"] if result.error else [])

    def _cut_short(self, active: ActiveJob, status: JobStatus, why: str) -> Job:
        """The job without a round's result; what has landed is home all the same."""
        now_ns, numbers = self._app.clock.now_ns(), active.numbers
        duration_s = max(now_ns - active.job.start_ns, 0) / 1e9
        result = JobResult(False, numbers.landed_files, numbers.landed_bytes, duration_s, (why,))
        return replace(active.job, status=status, end_ns=now_ns, result=result)

    async def _end(self, active: ActiveJob, ended: Job) -> None:
        """A job that cannot be remembered has ended all the same."""
        self._on_end(ended.id)
        try:
            await self._jobs.end(active, ended, keep=True)
        except StoreError as error:
            self._log.error("a job cannot be remembered; what it brought is", job=ended.id, reason=error.message, hint=error.hint)


def with_words(job: Job, words: Sequence[str]) -> Job:
    """The ended job with these among its errors."""
    assert job.result is not None
    return replace(job, result=replace(job.result, errors=(*job.result.errors, *words)))
