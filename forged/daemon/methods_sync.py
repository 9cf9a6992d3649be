"""`sync.*`: jobs for people and programs."""

from __future__ import annotations

from forged.control.errors import InvalidParams
from forged.control.peers import Level, Peer
from forged.control.publisher import Connection, Publisher
from forged.control.registry import Registry
from forged.daemon import answers
from forged.daemon.adhoc import AdHoc
from forged.daemon.cursors import bad_cursor
from forged.daemon.fleet import Fleet
from forged.daemon.jobbook import ActiveJob, JobBook
from forged.kit.clock import Clock
from forged.model import rpc
from forged.model.errors import ForgedError
from forged.model.jobs import Job, JobId


class UnknownJob(ForgedError):
    """No job has that id."""

    default_hint = "`forgectl jobs` (`sync.list`) shows the recent ones"


class SyncMethods:
    """The methods of this group; `register` makes them callable."""

    def __init__(self, fleet: Fleet, adhoc: AdHoc, jobs: JobBook, clock: Clock) -> None:
        self._fleet = fleet
        self._adhoc = adhoc
        self._jobs = jobs
        self._clock = clock

    def register(self, registry: Registry) -> None:
        registry.add("sync.start", self.start, level=Level.STEER)
        registry.add("sync.cancel", self.cancel, level=Level.STEER)
        for name, method in (
            ("sync.status", self.status),
            ("sync.progress", self.progress),
            ("sync.active", self.active),
            ("sync.list", self.list_jobs),
            ("sync.subscribe", self.subscribe),
            ("sync.unsubscribe", self.unsubscribe),
        ):
            registry.add(name, method, level=Level.LOOK)

    async def start(
        self,
        peer: Peer,
        target: str | None = None,
        folders: list[str] | None = None,
        config: dict[str, object] | None = None,
    ) -> rpc.SyncStarted:
        """Starts a sync of a configured target, or once of what `config` describes; of all of it, or of some folders.

        `config` takes the keys of a [[target]], or the names of the seed's SyncConfig. It decides where files go, so it is for root
        and the daemon's own user. The same source and destination again bring only what is new.
        """
        if (target is None) == (config is None):
            raise InvalidParams(hint="one of `target` and `config` is needed")
        if config is not None:
            peer.require(Level.ADMIN, "`sync.start` with a `config`")
            active = self._adhoc.start(config, folders or ())
        else:
            active = self._fleet.find(target or "").work.start_sync(folders or ())
        return {
            "success": True,
            "job_id": active.job.id,
            "sync_id": active.job.sync_id,
            "message": "Sync started successfully",
        }

    async def status(self, job_id: str) -> rpc.SyncStatus:
        """One job, running or recent."""
        return {"success": True, "job": answers.job(await self._job(job_id))}

    async def progress(self, job_id: str) -> rpc.SyncProgress:
        """How far a job is."""
        active = self._active(job_id)
        if active is None:
            return {"success": True, "progress": answers.last_progress(await self._job(job_id))}
        return {"success": True, "progress": self.progress_of(active)}

    def progress_of(self, active: ActiveJob) -> rpc.Progress:
        return answers.progress(self._jobs.status_of(active), active.numbers, self._clock.monotonic_s())

    async def active(self) -> rpc.Jobs:
        """The jobs that run or wait now."""
        jobs = [answers.job(self._jobs.status_of(active)) for active in self._jobs.active.values()]
        return {"success": True, "jobs": jobs[:1_000], "next_cursor": None}

    async def list_jobs(self, limit: int = 100, cursor: str | None = None) -> rpc.Jobs:
        """Recent jobs, newest first; the last 1,000 are kept, over restarts too."""
        most = max(1, min(limit, 1_000))
        before = await self._before(cursor) if cursor else None
        jobs = await self._jobs.recent(most, before)
        page = answers.fitting([answers.job(one) for one in jobs], 2 * answers.ROOM_BYTES)
        more = len(jobs) == most or len(page) < len(jobs)
        return {"success": True, "jobs": page, "next_cursor": page[-1]["id"] if more else None}

    async def cancel(self, job_id: str) -> rpc.Done:
        """Stops a job: what has landed stays, the rest resumes with the next sync."""
        active = self._active(job_id)
        if active is None:
            ended = await self._job(job_id)
            return {"success": False, "message": f"the job has ended already: {ended.status.value}"}
        if not await self._adhoc.cancel(active):
            self._fleet.find(active.job.target).work.cancel(active)
        return {"success": True, "message": "cancelled; what has landed stays, the rest comes with the next sync"}

    async def subscribe(self, connection: Connection, sync_id: str | None = None) -> rpc.Done:
        """From now on `sync_progress` and `sync_complete` notifications come on this connection."""
        connection.subscribe("sync_progress", sync_id)
        connection.subscribe("sync_complete", sync_id)
        return {"success": True, "message": "subscribed"}

    async def unsubscribe(self, connection: Connection, sync_id: str | None = None) -> rpc.Done:
        """Ends a subscription of this connection."""
        connection.unsubscribe("sync_progress", sync_id)
        connection.unsubscribe("sync_complete", sync_id)
        return {"success": True, "message": "unsubscribed"}

    def _active(self, id: str) -> ActiveJob | None:
        for active in self._jobs.active.values():
            if id in (active.job.id, active.job.sync_id):
                return active
        return None

    async def _before(self, cursor: str) -> Job:
        try:
            return await self._job(cursor)
        except UnknownJob as e:  # or it is no more among the last 1,000
            raise bad_cursor() from e

    async def _job(self, id: str) -> Job:
        active = self._active(id)
        found = self._jobs.status_of(active) if active else await self._jobs.find(JobId(id))
        if found is None:
            raise UnknownJob(f"no job has the id {id!r}")
        return found


class Telling:
    """What the job book tells subscribers: progress while it is new, and the end."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock

    def progressed(self, active: ActiveJob, stage: Job) -> None:
        if self._publisher.is_wanted("sync_progress", stage.sync_id):
            params = answers.progress(stage, active.numbers, self._clock.monotonic_s())
            self._publisher.publish("sync_progress", params, key=stage.sync_id, latest_wins=True)

    def ended(self, job: Job) -> None:
        self._publisher.publish("sync_complete", answers.job(job), key=job.sync_id, last=True)
