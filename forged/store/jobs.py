"""Jobs in SQL: now and recent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from forged.model.jobs import Job, JobId, JobResult, JobStatus
from forged.store.base import JOBS_KEPT
from forged.store.border import Border, Garbled, put
from forged.store.schema import jobs

INTERRUPTED = "forged ended during this job; the next sync goes on from there"

_ENDED = [status.value for status in JobStatus if status.ended]
_NEWEST_FIRST = (jobs.c.start_ns.desc(), jobs.c.id.desc())
_TOO_OLD = sa.select(jobs.c.id).order_by(*_NEWEST_FIRST).offset(JOBS_KEPT)
_PRUNE = sa.delete(jobs).where(jobs.c.id.in_(_TOO_OLD), jobs.c.status.in_(_ENDED))


class SqlJobs:
    """The promises are in store/base.Jobs."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def save(self, job: Job) -> None:
        async with self._border.writing() as connection:
            await put(connection, jobs, _values(job))
            await connection.execute(_PRUNE)

    async def get(self, id: JobId) -> Job | None:
        async with self._border.reading() as connection:
            found = (await connection.execute(sa.select(jobs).where(jobs.c.id == id))).first()
            return None if found is None else _job(found)

    async def recent(self, limit: int = 100, before: Job | None = None) -> Sequence[Job]:
        page = sa.select(jobs).order_by(*_NEWEST_FIRST).limit(limit)
        if before is not None:
            page = page.where(sa.tuple_(jobs.c.start_ns, jobs.c.id) < sa.tuple_(before.start_ns, before.id))
        async with self._border.reading() as connection:
            return [_job(r) for r in await connection.execute(page)]

    async def end_interrupted(self, now_ns: int) -> None:
        """Marks jobs that no process works on any more as failed. Only for the moment after opening, before a job starts.

        Reads all of them: one that is none is to be found now. Raises StoreDamaged.
        """
        async with self._border.writing() as connection:
            for job in [_job(r) for r in (await connection.execute(sa.select(jobs))).all()]:
                if not job.status.ended:
                    await put(connection, jobs, _values(interrupted(job, now_ns)))


def interrupted(job: Job, now_ns: int) -> Job:
    """The job as it ends when forged was killed during it. When that was is not known: its end is when we came back."""
    before = job.result or JobResult(success=False, files_transferred=0, bytes_transferred=0, duration_s=0.0)
    result = JobResult(
        success=False,
        files_transferred=before.files_transferred,
        bytes_transferred=before.bytes_transferred,
        duration_s=max(0.0, (now_ns - job.start_ns) / 1e9),
        errors=(*before.errors, INTERRUPTED),
    )
    return Job(job.id, job.target, JobStatus.FAILED, job.start_ns, job.folders, now_ns, result)


def _values(job: Job) -> dict[str, object]:
    result = job.result
    return {
        "id": job.id,
        "target": job.target,
        "status": job.status.value,
        "start_ns": job.start_ns,
        "folders": json.dumps(job.folders),
        "end_ns": job.end_ns,
        "success": result and result.success,
        "files_transferred": result and result.files_transferred,
        "bytes_transferred": result and result.bytes_transferred,
        "duration_s": result and result.duration_s,
        "errors": result and json.dumps(result.errors),
    }


def _job(r: sa.Row[*tuple[Any, ...]]) -> Job:
    """Raises Garbled."""
    result = None
    try:
        if r.success is not None:
            errors = tuple(json.loads(r.errors))
            result = JobResult(r.success, r.files_transferred, r.bytes_transferred, r.duration_s, errors)
        return Job(r.id, r.target, JobStatus(r.status), r.start_ns, tuple(json.loads(r.folders)), r.end_ns, result)
    except (ValueError, TypeError) as e:
        raise Garbled(f"job {r.id!r} is none") from e
