"""A job: one sync of one target (or of some of its folders), with an id, progress and a result."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NewType

JobId = NewType("JobId", str)


class JobStatus(enum.Enum):
    """The words of `sync.status`. Fixed: part of the interface."""

    PENDING = "pending"
    SCANNING = "scanning"
    TRANSFERRING = "transferring"
    PROCESSING = "processing"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a finished job did. `errors` are sentences for people; at most 100, the rest is counted in the last one."""

    success: bool
    files_transferred: int
    bytes_transferred: int
    duration_s: float
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One sync; changes only by being replaced (`dataclasses.replace`)."""

    id: JobId
    target: str
    status: JobStatus
    start_ns: int
    folders: tuple[str, ...] = ()
    end_ns: int | None = None
    result: JobResult | None = None

    @property
    def sync_id(self) -> str:
        """`sync_YYYYMMDD_HHMMSS_<8 hex of the job id>`, time in UTC. Fixed: part of the interface."""
        start = datetime.fromtimestamp(self.start_ns / 1e9, UTC)
        return f"sync_{start:%Y%m%d_%H%M%S}_{self.id.replace('-', '')[:8]}"


def new_job_id() -> JobId:
    """A random UUID."""
    return JobId(str(uuid.uuid4()))
