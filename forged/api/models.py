"""The nouns of the Python API, as the seed document calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import cast

from forged.model.files import Stat
from forged.model.jobs import Job
from forged.model.rpc.jobs import Progress, Status


@dataclass(frozen=True)
class SyncConfig:
    """What to sync, with the seed's defaults. `config.adhoc` says what each means; cleanup is on, so ask for a dry run first.

    `source_host` may be `user@host` (root without one). `dest_path` None is $MEDIA_BASE. `options` are further keys of a
    [[target]]: `{"identity_file": "~/.ssh/box", "settle": "0s"}`; with `{"source": "docker://name/path"}` no host is needed.
    """

    source_type: str = "forge"
    source_host: str | None = None
    source_port: int | None = None
    source_path: str | None = None
    dest_path: str | None = None
    folders: list[str] = field(default_factory=list)
    parallel_transfers: int = 3
    bandwidth_limit_mbps: float | None = None
    enable_cleanup: bool = True
    cleanup_age_hours: float = 24
    cleanup_dry_run: bool = False
    generate_xmp: bool = True
    calculate_hashes: bool = False
    extract_metadata: bool = True
    retry_attempts: int = 3
    retry_delay_seconds: float = 5
    verify_transfers: bool = True
    options: Mapping[str, object] = field(default_factory=dict)

    def table(self) -> dict[str, object]:
        """As `sync.start {config}` takes it; what is None is not said."""
        table = {name: value for name, value in asdict(self).items() if value is not None and name != "options"}
        if not self.enable_cleanup:
            del table["cleanup_age_hours"], table["cleanup_dry_run"]
        return table | dict(self.options)


@dataclass(frozen=True)
class SyncResult:
    """What a sync did. `errors` are sentences for people; `duration` is in seconds."""

    success: bool
    files_transferred: int
    bytes_transferred: int
    duration: float
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SyncJob:
    """A sync and how it stands: pending, scanning, transferring, processing, complete, failed or cancelled."""

    id: str
    sync_id: str
    status: Status
    start_time: datetime
    end_time: datetime | None = None
    result: SyncResult | None = None


def job_of(job: Job) -> SyncJob:
    """The house's noun as the API's."""
    result = (
        None
        if job.result is None
        else SyncResult(
            job.result.success,
            job.result.files_transferred,
            job.result.bytes_transferred,
            job.result.duration_s,
            list(job.result.errors),
        )
    )
    end = None if job.end_ns is None else _time(job.end_ns)
    return SyncJob(job.id, job.sync_id, job.status.value, _time(job.start_ns), end, result)


def _time(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9, UTC)


@dataclass(frozen=True)
class SyncProgress:
    """How far a sync is; the rate in MB/s (10^6 bytes), the time in seconds, None while nobody can know."""

    sync_id: str
    status: Status = "pending"
    progress_percent: float = 0.0
    current_stage: str = ""
    current_folder: str | None = None
    transferred_files: int = 0
    total_files: int = 0
    transferred_bytes: int = 0
    total_bytes: int = 0
    transfer_rate_mbps: float = 0.0
    estimated_time_remaining: float | None = None

    def to_dict(self) -> Progress:
        """As `sync.progress` answers it."""
        return cast("Progress", asdict(self))


@dataclass(frozen=True)
class FileManifest:
    """A file by its outside: at the source, or as it is remembered. `path` is absolute there; `mtime` in seconds since 1970."""

    path: str
    size: int
    mtime: float
    hash: str | None = None
    stat: Stat | None = field(default=None, repr=False, compare=False)
    """The same to the nanosecond, where it is known."""

    def needs_sync(self, remote: FileManifest) -> bool:
        """Whether `remote` is another content, as far as size and mtime tell; where both hashes are known they decide."""
        if self.hash is not None and remote.hash is not None:
            return self.hash != remote.hash
        return not self._outside().same_outside(remote._outside())

    def _outside(self) -> Stat:
        return self.stat or Stat(self.size, round(self.mtime * 1e9))


@dataclass(frozen=True)
class CleanupConfig:
    """When a file may be removed at its source. At most `max_files_per_batch` go in one call."""

    age_hours: float = 24
    preserve_patterns: list[str] = field(default_factory=lambda: ["*.important"])
    max_files_per_batch: int = 100
    dry_run: bool = False
    remove_empty_dirs: bool = False
    rehash: bool = False

    def table(self) -> dict[str, object]:
        """As [target.cleanup]."""
        return {
            "age": f"{self.age_hours:.9f}h",
            "preserve": list(self.preserve_patterns),
            "max_files_per_batch": self.max_files_per_batch,
            "remove_empty_dirs": self.remove_empty_dirs,
            "rehash": self.rehash,
        }


@dataclass(frozen=True)
class CleanupResult:
    """What went (in a dry run: would go), and what stayed and why; paths are absolute at the source."""

    files_deleted: int = 0
    space_freed_bytes: int = 0
    dry_run: bool = False
    removed: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return not self.errors


class FileList(list[FileManifest]):
    """Files of one look at a source; `place` is the folder that was looked at, as an address."""

    def __init__(self, files: Iterator[FileManifest] | list[FileManifest] = (), place: str | None = None) -> None:  # type: ignore[assignment]
        super().__init__(files)
        self.place = place
