"""ProgressManager: the progress of several syncs by sync_id, for who shows them."""

from __future__ import annotations

from dataclasses import replace

from forged.api.models import SyncProgress
from forged.daemon.answers import STAGES
from forged.model.jobs import JobStatus
from forged.model.rpc.jobs import Status


class ProgressManager:
    """Give its `take` as progress_callback, or keep it by hand."""

    def __init__(self) -> None:
        self._all: dict[str, SyncProgress] = {}

    def create(self, sync_id: str, total_files: int = 0, total_bytes: int = 0) -> SyncProgress:
        """A sync that begins."""
        self._all[sync_id] = SyncProgress(sync_id, total_files=total_files, total_bytes=total_bytes)
        return self._all[sync_id]

    def take(self, progress: SyncProgress) -> None:
        """As it stands now."""
        self._all[progress.sync_id] = progress

    def update(self, sync_id: str, **numbers: object) -> SyncProgress:
        """Other values for these fields; the percentage follows from the bytes unless it is given. Raises KeyError, TypeError."""
        now = replace(self._all[sync_id], **numbers)  # type: ignore[arg-type]
        if "progress_percent" not in numbers and now.total_bytes:
            now = replace(now, progress_percent=round(min(100.0 * now.transferred_bytes / now.total_bytes, 100.0), 1))
        self._all[sync_id] = now
        return now

    def complete(self, sync_id: str, success: bool = True) -> SyncProgress:
        """It has ended. Raises KeyError."""
        status: Status = "complete" if success else "failed"
        percent = 100.0 if success else self._all[sync_id].progress_percent
        return self.update(sync_id, status=status, current_stage=STAGES[JobStatus(status)], progress_percent=percent)

    def get(self, sync_id: str) -> SyncProgress | None:
        return self._all.get(sync_id)

    def list_active(self) -> list[SyncProgress]:
        """Those that have not ended."""
        return [one for one in self._all.values() if not JobStatus(one.status).ended]
