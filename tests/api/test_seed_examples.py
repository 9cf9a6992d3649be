"""Every Python example of the seed document, as it stands there, but for `app.sync`, host, paths and database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from forged import (
    CleanupConfig,
    CleanupEngine,
    ManifestManager,
    MediaEvent,
    MediaEventData,
    MediaEventManager,
    MediaIngestInterface,
    SyncConfig,
    SyncEngine,
    SyncOrchestrator,
    SyncProgress,
)
from tests.api.conftest import Grounds
from tests.support.postgres import PostgresServer, postgres_server

if TYPE_CHECKING:
    from forged.ingest.interface import Json


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


def test_direct_orchestrator_usage(grounds: Grounds) -> None:
    for folder in ("txt2img-images", "img2img-images", "extras-images"):
        grounds.make(f"{folder}/2025-10-21/00001.png", folder.encode())
    config = SyncConfig(
        source_type="forge",
        source_host=grounds.host,
        source_port=grounds.sshd.port,
        source_path=str(grounds.outputs),
        dest_path=str(grounds.media),
        folders=["txt2img-images", "img2img-images"],
        parallel_transfers=3,
        enable_cleanup=True,
        cleanup_age_hours=24,
        options={"identity_file": str(grounds.sshd.identity)},
    )
    orchestrator = SyncOrchestrator(grounds.manifest)
    said = []

    async def run_sync() -> None:
        job = await orchestrator.start_sync(config)
        assert [one.id for one in orchestrator.list_active_jobs()] == [job.id]
        while True:
            status = orchestrator.get_job_status(job.id)
            if status.status in ["complete", "failed"]:
                break
            await asyncio.sleep(0.05)
        said.append(f"Status: {status.status}")
        if status.result:
            said.append(f"Files transferred: {status.result.files_transferred}")
            said.append(f"Bytes transferred: {status.result.bytes_transferred}")
        assert orchestrator.get_progress(job.id).to_dict()["progress_percent"] == 100.0
        assert orchestrator.get_job_status(job.sync_id).id == job.id

    asyncio.run(run_sync())
    assert said == ["Status: complete", "Files transferred: 2", "Bytes transferred: 28"]
    assert sorted(grounds.at_home()) == [f"{folder}/2025-10-21/00001.png" for folder in ("img2img-images", "txt2img-images")]


def test_using_the_sync_engine_directly(grounds: Grounds) -> None:
    grounds.make("txt2img-images/00001.png")
    transport = grounds.transport()
    engine = SyncEngine(transport=transport, manifest_path=grounds.manifest)
    config = SyncConfig(
        source_type="forge",
        source_host="127.0.0.1",
        source_port=grounds.sshd.port,
        dest_path=str(grounds.media),
        options={"settle": "0s"},
    )

    async def sync() -> tuple[bool, int, int]:
        result = await engine.sync_folder(
            source=f"{grounds.outputs}/txt2img-images", dest=f"{grounds.media}/txt2img-images", config=config
        )
        return result.success, result.files_transferred, result.bytes_transferred

    assert asyncio.run(sync()) == (True, 1, 7)
    assert asyncio.run(sync()) == (True, 0, 0), "in another event loop it remembers"
    assert grounds.at_home() == {"txt2img-images/00001.png": b"picture"}


async def test_manifest_based_change_detection(grounds: Grounds) -> None:
    transport = grounds.transport()
    grounds.make("old.png")
    await SyncEngine(transport, grounds.manifest).sync_folder(str(grounds.outputs), str(grounds.media), grounds.config())
    grounds.make("new.png")

    manager = ManifestManager(grounds.manifest)
    remote_files = await transport.list_files(str(grounds.outputs))
    new, modified, deleted = manager.get_changes(remote_files)
    assert (len(new), len(modified), len(deleted)) == (1, 0, 0)


async def test_parallel_folder_syncing(grounds: Grounds) -> None:
    engine = SyncEngine(grounds.transport(), grounds.manifest)
    for folder in ("folder1", "folder2", "folder3"):
        for number in range(5):
            grounds.make(f"{folder}/{number}.png", f"{folder} {number}".encode())
    folder_pairs = [(f"{grounds.outputs}/{name}", f"{grounds.media}/{name}") for name in ("folder1", "folder2", "folder3")]
    seen: list[SyncProgress] = []

    async def my_callback(progress: SyncProgress) -> None:
        seen.append(progress)

    results = await engine.sync_folders_parallel(folder_pairs, grounds.config(), progress_callback=my_callback)
    assert [(one.success, one.files_transferred) for one in results] == [(True, 5)] * 3
    assert len(grounds.at_home()) == 15
    await asyncio.sleep(0)
    assert {one.sync_id for one in seen if one.status == "complete"} == {one.sync_id for one in seen}
    assert len({one.sync_id for one in seen}) == 3

    nowhere = (f"{grounds.outputs}/nothing", f"{grounds.media}/nothing")
    missing = await engine.sync_folders_parallel([nowhere, folder_pairs[0]], grounds.config(retry_attempts=0))
    assert [one.success for one in missing] == [False, True], "trouble with one stops no other"
    assert missing[0].errors


async def test_old_media_cleanup(grounds: Grounds) -> None:
    transport = grounds.transport()
    for name in ("a.png", "b.png", "c.png.important"):
        grounds.make(f"txt2img-images/{name}")
    engine = SyncEngine(transport, grounds.manifest)
    await engine.sync_folder(f"{grounds.outputs}/txt2img-images", f"{grounds.media}/txt2img-images", grounds.config())
    unsynced = grounds.make("txt2img-images/d.png")

    cleanup = CleanupEngine(CleanupConfig(age_hours=24, preserve_patterns=["*.important"], max_files_per_batch=100))
    first = await cleanup.cleanup_old_media(target_path=str(grounds.outputs), age_hours=24, dry_run=False, transport=transport)
    assert (first.files_deleted, first.kept[str(grounds.outputs / "txt2img-images" / "a.png")]) == (0, "young"), (
        "home for a moment only"
    )
    preview = await cleanup.cleanup_old_media(target_path=str(grounds.outputs), age_hours=0, dry_run=True, transport=transport)
    assert (preview.files_deleted, preview.dry_run, len(list(grounds.outputs.rglob("*.png")))) == (2, True, 3)

    result = await cleanup.cleanup_old_media(target_path=str(grounds.outputs), age_hours=0, dry_run=False, transport=transport)
    assert (result.files_deleted, f"{result.space_freed_bytes / 1024**3:.2f} GB", result.errors) == (2, "0.00 GB", [])
    assert unsynced.exists(), "what never came home is never removed"
    assert (grounds.outputs / "txt2img-images" / "c.png.important").exists()
    assert len(grounds.at_home()) == 3


async def test_database_integration_interface(grounds: Grounds, server: PostgresServer) -> None:
    db = await asyncpg.connect(server.dsn(server.database()))
    await db.execute("CREATE TABLE media_files (path text PRIMARY KEY, size bigint, hash text)")
    await db.execute("CREATE TABLE sync_jobs (sync_id text PRIMARY KEY, status text)")

    class MyDatabaseIngest(MediaIngestInterface):
        async def on_file_synced(self, event: MediaEventData) -> bool:
            await db.execute(
                "INSERT INTO media_files (path, size, hash) VALUES ($1, $2, $3)", event.file_path, event.file_size, event.file_hash
            )
            return True

        async def on_batch_synced(self, events: Sequence[MediaEventData]) -> int:
            success_count = 0
            for event in events:
                if await self.on_file_synced(event):
                    success_count += 1
            batches.append(success_count)
            return success_count

        async def on_sync_complete(self, sync_id: str, summary: Mapping[str, Json]) -> bool:
            await db.execute("INSERT INTO sync_jobs VALUES ($1, 'complete')", sync_id)
            return True

    batches: list[int] = []
    event_manager, handler = MediaEventManager(), MyDatabaseIngest()
    event_manager.subscribe(MediaEvent.FILE_SYNCED, handler)
    event_manager.subscribe(MediaEvent.SYNC_COMPLETE, handler)
    engine = SyncEngine(grounds.transport(), grounds.manifest, event_manager)
    for number in range(3):
        grounds.make(f"{number}.png", f"picture {number}".encode())
    result = await engine.sync_folder(str(grounds.outputs), str(grounds.media), grounds.config())
    assert result.errors == []
    rows = await db.fetch("SELECT path, size FROM media_files ORDER BY path")
    assert [(row["path"], row["size"]) for row in rows] == [(str(grounds.media / f"{n}.png"), 9) for n in range(3)]
    assert batches == [3]
    assert [row["status"] for row in await db.fetch("SELECT status FROM sync_jobs")] == ["complete"]
    await db.close()


async def test_what_a_handler_did_not_take_comes_with_the_next_sync(grounds: Grounds) -> None:
    taken: list[Path] = []
    mended = False

    def keep(event: MediaEventData) -> bool:
        if event.file_path.endswith("1.png") and not mended:
            raise ValueError("no such album")
        taken.append(Path(event.file_path))
        return True

    events = MediaEventManager()
    events.subscribe(MediaEvent.FILE_SYNCED, keep)
    engine = SyncEngine(grounds.transport(), grounds.manifest, events)
    for number in range(3):
        grounds.make(f"{number}.png")
    result = await engine.sync_folder(str(grounds.outputs), str(grounds.media), grounds.config())
    assert result.success
    assert any("no such album" in word for word in result.errors)
    assert sorted(path.name for path in taken) == ["0.png", "2.png"], "one event stops no other"
    mended = True
    result = await engine.sync_folder(str(grounds.outputs), str(grounds.media), grounds.config())
    assert (result.errors, sorted(path.name for path in taken)) == ([], ["0.png", "1.png", "2.png"])


async def test_a_job_is_cancelled_in_peace_and_goes_on_later(grounds: Grounds) -> None:
    grounds.make("film.mp4", bytes(3_000_000))
    orchestrator = SyncOrchestrator(grounds.manifest)
    job = await orchestrator.start_sync(grounds.config(bandwidth_limit_mbps=0.5, enable_cleanup=False))
    while orchestrator.get_progress(job.id).transferred_bytes == 0:
        await asyncio.sleep(0.02)
    assert await orchestrator.cancel_job(job.id)
    assert orchestrator.get_job_status(job.id).status == "cancelled"
    again = await orchestrator.start_sync(grounds.config(enable_cleanup=False))
    assert (await orchestrator.wait(again.id)).status == "complete"
    assert not await orchestrator.cancel_job(again.id)
