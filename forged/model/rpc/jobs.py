"""`sync.*`: jobs, their progress and their results."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

Status = Literal["pending", "scanning", "transferring", "processing", "complete", "failed", "cancelled"]


class JobResult(TypedDict):
    """What a job did. `errors` are sentences."""

    success: bool
    files_transferred: int
    bytes_transferred: int
    duration: float
    errors: list[str]


class Job(TypedDict):
    """One sync. `result` and `end_time` are null while it runs."""

    id: str
    sync_id: str
    target: str
    status: Status
    start_time: str
    end_time: str | None
    result: JobResult | None


class Progress(TypedDict):
    """How far a job is; also the params of the notification `sync_progress`. The rate is in MB/s (10^6), the rest as ever.

    `current_stage` says in words for people what it does now. `current_folder`: where the file that came last is from: the folder
    that was asked for, else the first of its path. `estimated_time_remaining` is null while nobody can know.
    """

    sync_id: str
    status: Status
    progress_percent: float
    current_stage: str
    current_folder: str | None
    transferred_files: int
    total_files: int
    transferred_bytes: int
    total_bytes: int
    transfer_rate_mbps: float
    estimated_time_remaining: float | None


class SyncStarted(TypedDict):
    """`sync.start`."""

    success: bool
    job_id: str
    sync_id: str
    message: str


class SyncStatus(TypedDict):
    """`sync.status`."""

    success: bool
    job: Job


class SyncProgress(TypedDict):
    """`sync.progress`; of an ended job its last."""

    success: bool
    progress: Progress


class Jobs(TypedDict):
    """`sync.active` (all on one page) and `sync.list` (newest first)."""

    success: bool
    jobs: list[Job]
    next_cursor: str | None
