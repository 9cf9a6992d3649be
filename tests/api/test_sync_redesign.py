"""The eleven tests that the seed document names, against forged's Python API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forged import (
    CleanupConfig,
    CleanupResult,
    FileManifest,
    ManifestManager,
    ProgressManager,
    SyncConfig,
    SyncEngine,
    SyncProgress,
)
from tests.api.conftest import Grounds


class TestModels:
    def test_sync_config_creation(self) -> None:
        config = SyncConfig(
            source_type="forge",
            source_host="10.0.78.108",
            source_port=2222,
            source_path="/workspace/stable-diffusion-webui/outputs",
            dest_path="/media",
            folders=["txt2img-images", "img2img-images"],
        )
        assert (config.parallel_transfers, config.bandwidth_limit_mbps) == (3, None)
        assert (config.enable_cleanup, config.cleanup_age_hours, config.cleanup_dry_run) == (True, 24, False)
        assert (config.generate_xmp, config.calculate_hashes, config.extract_metadata) == (True, False, True)
        assert (config.retry_attempts, config.retry_delay_seconds, config.verify_transfers) == (3, 5, True)

    def test_sync_progress_to_dict(self) -> None:
        progress = SyncProgress(
            sync_id="sync_20251021_120000_550e8400",
            status="transferring",
            progress_percent=45.5,
            current_stage="Transferring folders",
            current_folder="txt2img-images",
            transferred_files=20,
            total_files=44,
            transferred_bytes=500_000,
            total_bytes=1_100_000,
            transfer_rate_mbps=2.5,
            estimated_time_remaining=120,
        )
        assert progress.to_dict() == {
            "sync_id": "sync_20251021_120000_550e8400",
            "status": "transferring",
            "progress_percent": 45.5,
            "current_stage": "Transferring folders",
            "current_folder": "txt2img-images",
            "transferred_files": 20,
            "total_files": 44,
            "transferred_bytes": 500_000,
            "total_bytes": 1_100_000,
            "transfer_rate_mbps": 2.5,
            "estimated_time_remaining": 120,
        }

    def test_file_manifest_needs_sync(self) -> None:
        known = FileManifest("/remote/a.png", 100, 1_700_000_000.5, "ab" * 32)
        assert not known.needs_sync(known)
        assert known.needs_sync(FileManifest("/remote/a.png", 101, 1_700_000_000.5))
        assert known.needs_sync(FileManifest("/remote/a.png", 100, 1_700_000_001.5))
        assert known.needs_sync(replace(known, hash="cd" * 32)), "two hashes decide"
        assert not known.needs_sync(replace(known, mtime=1.0)), "two hashes decide, whatever the clock says"


class TestManifestManager:
    async def test_manifest_creation(self, grounds: Grounds) -> None:
        manager = ManifestManager(grounds.manifest)
        assert manager.get_changes([]) == ([], [], [])
        assert not grounds.manifest.parent.exists(), "who only looks makes nothing"

    async def test_get_changes(self, grounds: Grounds) -> None:
        for name in ("kept.png", "grown.png", "gone.png"):
            grounds.make(name)
        engine = SyncEngine(grounds.transport(), grounds.manifest)
        assert (await engine.sync_folder(str(grounds.outputs), str(grounds.media), grounds.config())).success

        grounds.make("fresh.png")
        grounds.make("grown.png", b"a larger picture")
        (grounds.outputs / "gone.png").unlink()
        remote = await grounds.transport().list_files(str(grounds.outputs))
        new, modified, deleted = ManifestManager(grounds.manifest).get_changes(remote)
        assert [[one.path for one in part] for part in (new, modified, deleted)] == [
            [str(grounds.outputs / name)] for name in ("fresh.png", "grown.png", "gone.png")
        ]


class TestProgressManager:
    def test_create_progress(self) -> None:
        progress = ProgressManager().create("sync_1", total_files=44, total_bytes=1_100_000)
        assert (progress.sync_id, progress.status, progress.total_files, progress.progress_percent) == (
            "sync_1",
            "pending",
            44,
            0.0,
        )

    def test_update_progress(self) -> None:
        manager = ProgressManager()
        manager.create("sync_1", total_files=4, total_bytes=1_000)
        now = manager.update("sync_1", status="transferring", transferred_files=1, transferred_bytes=455)
        assert (now.progress_percent, now.transferred_files, manager.get("sync_1")) == (45.5, 1, now)
        with pytest.raises(KeyError):
            manager.update("sync_2", transferred_files=1)
        with pytest.raises(TypeError):
            manager.update("sync_1", transfered_files=1)

    def test_complete_progress(self) -> None:
        manager = ProgressManager()
        manager.create("sync_1")
        assert (manager.complete("sync_1").status, manager.complete("sync_1").progress_percent) == ("complete", 100.0)
        manager.create("sync_2")
        assert (manager.complete("sync_2", success=False).status, manager.complete("sync_2", success=False).progress_percent) == (
            "failed",
            0.0,
        )

    def test_list_active(self) -> None:
        manager = ProgressManager()
        for sync_id in ("sync_1", "sync_2", "sync_3"):
            manager.create(sync_id)
        manager.update("sync_2", status="transferring")
        manager.complete("sync_1")
        assert [one.sync_id for one in manager.list_active()] == ["sync_2", "sync_3"]


class TestCleanupConfig:
    def test_cleanup_config_defaults(self) -> None:
        config = CleanupConfig()
        assert (config.age_hours, config.preserve_patterns, config.max_files_per_batch) == (24, ["*.important"], 100)
        assert (config.dry_run, config.remove_empty_dirs) == (False, False)

    def test_cleanup_result(self) -> None:
        result = CleanupResult(files_deleted=3, space_freed_bytes=3 * 1024**3, removed=["/a", "/b", "/c"])
        assert (result.success, f"{result.space_freed_bytes / 1024**3:.2f} GB") == (True, "3.00 GB")
        assert not CleanupResult(errors=["the box does not answer"]).success
