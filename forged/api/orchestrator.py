"""SyncOrchestrator: syncs as jobs that run while the caller does something else."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from forged.api.models import SyncConfig, SyncJob, SyncProgress, job_of
from forged.api.state import State, target_of
from forged.api.syncing import Syncing
from forged.api.telling import MediaEventManager
from forged.daemon.adhoc import AlreadyRunning
from forged.daemon.methods_sync import UnknownJob
from forged.model.jobs import Job, JobStatus
from forged.store.base import JOBS_KEPT


@dataclass(eq=False)
class _Started:
    syncing: Syncing
    manifest: str
    task: asyncio.Task[Job]

    @property
    def job(self) -> Job:
        """It has ended when all that it opened is closed, too: whoever sees that may end the event loop."""
        job = self.syncing.job
        if self.task.done() or not job.status.ended:
            return job
        return replace(job, status=JobStatus.PROCESSING, end_ns=None, result=None)


class SyncOrchestrator:
    """Starts syncs and knows how they stand. The last 1,000 are known; `cancel_job` and `wait` end in peace."""

    def __init__(self, manifest_path: str | os.PathLike[str] | None = None, event_manager: MediaEventManager | None = None) -> None:
        """`manifest_path` names the memory (api/state); without it that of this user."""
        self._state = State.beside(manifest_path)
        self._events = self._state.events = event_manager or MediaEventManager()
        self._jobs: dict[str, _Started] = {}

    async def start_sync(self, config: SyncConfig) -> SyncJob:
        """Begins at once; with cleanup, if `config` has it on.

        Raises ConfigError, AlreadyRunning, StateDirectoryBusy, StoreError.
        """
        table = config.table()
        target = target_of(table)
        if any(one.manifest == target.manifest and not one.task.done() for one in self._jobs.values()):
            raise AlreadyRunning(hint="wait for the job that does it, or cancel it")
        async with AsyncExitStack() as stack:
            app = await stack.enter_async_context(self._state.opened())
            syncing = Syncing(app, self._state, target, target.selection.folders, None, self._events)
            rest = stack.pop_all()

        async def run() -> Job:
            async with rest:
                return await syncing.run(table)

        job = syncing.job
        self._jobs[job.id] = _Started(syncing, target.manifest, asyncio.create_task(run(), name=job.sync_id))
        self._forget_oldest()
        return job_of(job)

    def get_job_status(self, job_id: str) -> SyncJob:
        """By id or sync_id. Raises UnknownJob."""
        return job_of(self._find(job_id).job)

    def get_progress(self, job_id: str) -> SyncProgress:
        """Likewise."""
        return self._find(job_id).syncing.progress

    def list_active_jobs(self) -> list[SyncJob]:
        """Those that have not ended."""
        return [job_of(one.job) for one in self._jobs.values() if not one.task.done()]

    def list_jobs(self) -> list[SyncJob]:
        """All that this orchestrator has started, newest first."""
        return [job_of(one.job) for one in reversed(self._jobs.values())]

    async def wait(self, job_id: str) -> SyncJob:
        """Until it has ended."""
        one = self._find(job_id)
        await asyncio.wait([one.task])
        return job_of(one.job)

    async def cancel_job(self, job_id: str) -> bool:
        """Ends it and waits for its end: what has landed stays, the rest comes with the next sync. False: it had ended."""
        one = self._find(job_id)
        if one.task.done():
            return False
        await asyncio.sleep(0)  # it has taken its first step, so that whoever ends it closes what it opened
        one.task.cancel()
        await asyncio.wait([one.task])
        return True

    def _find(self, job_id: str) -> _Started:
        for one in self._jobs.values():
            if job_id in (one.job.id, one.job.sync_id):
                return one
        raise UnknownJob(f"no job has the id {job_id!r}")

    def _forget_oldest(self) -> None:
        for id in [id for id, one in self._jobs.items() if one.task.done()][: max(len(self._jobs) - JOBS_KEPT, 0)]:
            del self._jobs[id]
