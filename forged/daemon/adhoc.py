"""Ad-hoc syncs: a target that is described in the call, brought home once as a job, beside the configured ones.

What was remembered of it stays in the store, under a name that comes from source and destination: the same call again brings only
what is new. It has no timetable, no watch and no row in `target.list`. Should its host key change, the next call can name the new
one (`host_key = "SHA256:..."`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from forged.config.adhoc import ad_hoc_target
from forged.config.surroundings import Surroundings
from forged.control.errors import InvalidParams, TooBusy
from forged.daemon.app import App
from forged.daemon.fleet import Fleet
from forged.daemon.jobbook import ActiveJob, JobBook
from forged.kit.logs import Log
from forged.kit.tasks import Tasks
from forged.model.errors import Cancelled, ConfigError, ForgedError, StoreError
from forged.model.jobs import Job, JobId, JobResult, JobStatus
from forged.model.observer import Observer
from forged.model.target import CleanupPolicy, Target
from forged.rules.selection import folders_to_list
from forged.sync.cleanup import run_cleanup
from forged.sync.cycle import sync_once
from forged.sync.doors import Doors
from forged.sync.homecheck import check_home
from forged.sync.looks import Looks

MOST_AT_ONCE = 4
"""Each has connections, an agent and a share of the memory of its own; who needs more of them needs targets in forged.toml."""

FAULT = "a fault in forged ended it: the log tells more"


class AlreadyRunning(ForgedError):
    """This is being synced already."""


class AdHoc:
    """Starts ad-hoc syncs, and ends them with the daemon."""

    def __init__(self, app: App, fleet: Fleet, jobs: JobBook, observer: Observer, env: Mapping[str, str], log: Log) -> None:
        """`env`: decides what `~` and $NAME in the table mean, as for the file."""
        self._app = app
        self._fleet = fleet
        self._jobs = jobs
        self._observer = observer
        self._env = env
        self._log = log
        self._running: dict[JobId, Target] = {}
        self._tasks = Tasks(self._task_ended)

    def start(self, table: Mapping[str, object], folders: Sequence[str] = ()) -> ActiveJob:
        """Begins at once. Raises InvalidParams with every mistake of the table on a line of its hint, AlreadyRunning, TooBusy."""
        target = self._target({**table, "folders": list(folders)} if folders else table)
        self._check_names(target)
        if len(self._running) >= MOST_AT_ONCE:
            raise TooBusy(hint=f"{MOST_AT_ONCE} ad-hoc syncs run already: wait for the end of one, or configure the target")
        active = self._jobs.open(target.name, target.selection.folders)
        self._running[active.job.id] = target
        self._log.info("an ad-hoc sync begins", target=target.name, source=str(target.source), dest=str(target.home.dest))
        self._tasks.start(_task(active), self._run(active, target))
        return active

    async def cancel(self, active: ActiveJob) -> bool:
        """Ends a job and waits for its end. False where it is no ad-hoc sync."""
        if active.job.id not in self._running:
            return False
        await self._tasks.stop(_task(active))
        if active.job.id in self._running:  # cancelled before its task took the first step, so that nothing else ends it
            await self._end(active, self._cut_short(active, JobStatus.CANCELLED, Cancelled().message))
        return True

    async def stop(self) -> None:
        """Ends all; partial files stay for the next call. May be called again."""
        await asyncio.gather(*(self.cancel(active) for active in list(self._jobs.active.values())))

    def _target(self, table: Mapping[str, object]) -> Target:
        config = self._app.config
        around = Surroundings(self._env, config.path.parent, os.geteuid() == 0)
        try:
            return ad_hoc_target(table, around, config.media)
        except ConfigError as e:
            raise InvalidParams(hint="\n".join(e.problems)) from e

    def _check_names(self, target: Target) -> None:
        """Two with one memory would bring the same files side by side; two with one name could not be told apart."""
        configured = [member.standing.target for member in self._fleet.members]
        for other in configured:
            if target.name.lower() == other.name.lower() or target.manifest == other.manifest:
                raise InvalidParams(hint=f"name: a target {other.name!r} is configured: choose another name")
        for id, other in self._running.items():
            if target.name.lower() == other.name.lower() or target.manifest == other.manifest:
                raise AlreadyRunning(hint=f"job {id} does it: wait for its end, or cancel it")

    async def _run(self, active: ActiveJob, target: Target) -> None:
        """The job from its begin to its end, whatever happens in between."""
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

    async def _sync(self, active: ActiveJob, target: Target) -> Job:
        async with self._app.doors(target, active.beside(self._observer)) as doors:
            result = await sync_once(doors, Looks(), active.job, folders_to_list((), target.selection))
            await self._app.enrichment(doors, lambda: [target.manifest]).drain()
            if not result.success or target.cleanup is None:
                return result.job
            return _with_words(result.job, await self._clean_up(doors, target.cleanup))

    async def _clean_up(self, doors: Doors, policy: CleanupPolicy) -> list[str]:
        """One run. The sync has gone well, whatever becomes of this: answers in words what a person should know."""
        try:
            async with doors.source:
                await check_home(doors)
                result = await run_cleanup(doors, policy, dry_run=policy.dry_run)
        except ForgedError as error:
            return [f"cleanup: {error.message}"]
        would = "would be" if policy.dry_run else "are"
        self._log.info(
            f"cleanup of an ad-hoc sync: {len(result.removed)} files {would} removed",
            target=doors.target.name,
            freed_bytes=result.freed_bytes,
            kept={why.value: count for why, count in result.kept_count.items()},
        )
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
        self._running.pop(ended.id, None)
        try:
            await self._jobs.end(active, ended, keep=True)
        except StoreError as error:
            self._log.error("a job cannot be remembered", job=ended.id, reason=error.message, hint=error.hint)

    def _task_ended(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            self._log.error("a task ended unexpectedly", task=name, exc_info=error)


def _task(active: ActiveJob) -> str:
    return f"ad-hoc sync {active.job.id}"


def _with_words(job: Job, words: Sequence[str]) -> Job:
    """The ended job with these among its errors."""
    assert job.result is not None
    return replace(job, result=replace(job.result, errors=(*job.result.errors, *words)))
