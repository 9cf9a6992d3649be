"""Ad-hoc syncs: a target that is described in the call, brought home once as a job, beside the configured ones.

What was remembered of it stays in the store, under a name that comes from source and destination: the same call again brings only
what is new. It has no timetable, no watch and no row in `target.list`. Should its host key change, the next call can name the new
one (`host_key = "SHA256:..."`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from forged.config.adhoc import ad_hoc_target
from forged.config.surroundings import Surroundings
from forged.control.errors import InvalidParams, TooBusy
from forged.daemon.adhoc_work import AdHocWork
from forged.daemon.app import App
from forged.daemon.fleet import Fleet
from forged.daemon.jobbook import ActiveJob, JobBook
from forged.daemon.runner import REPORT
from forged.kit.logs import Log
from forged.kit.tasks import Tasks
from forged.model.errors import ConfigError, ForgedError
from forged.model.jobs import JobId
from forged.model.observer import Observer
from forged.model.target import Target

MOST_AT_ONCE = 4
"""Each has connections, an agent and a share of the memory of its own; who needs more of them needs targets in forged.toml."""


class AlreadyRunning(ForgedError):
    """This is being synced already."""


class AdHoc:
    """Starts ad-hoc syncs, and ends them with the daemon."""

    def __init__(self, app: App, fleet: Fleet, jobs: JobBook, observer: Observer, env: Mapping[str, str], log: Log) -> None:
        """`env`: decides what `~` and $NAME in the table mean, as for the file."""
        self._app = app
        self._fleet = fleet
        self._jobs = jobs
        self._env = env
        self._log = log
        self._running: dict[JobId, Target] = {}
        self._work = AdHocWork(app, jobs, observer, log, lambda id: self._running.pop(id, None))
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
        self._tasks.start(_task(active), self._work.run(active, target))
        return active

    async def cancel(self, active: ActiveJob) -> bool:
        """Ends a job and waits for its end. False where it is no ad-hoc sync."""
        if active.job.id not in self._running:
            return False
        await self._tasks.stop(_task(active))
        if active.job.id in self._running:  # cancelled before its task took the first step, so that nothing else ends it
            await self._work.never_began(active)
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

    def _task_ended(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            self._log.error("forged stumbled over a mistake of its own", task=name, exc_info=error, hint=REPORT)


def _task(active: ActiveJob) -> str:
    return f"ad-hoc sync {active.job.id}"
