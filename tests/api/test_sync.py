"""The Python API against a real sshd: an engine, what it remembers, its events, and cleanup with proof."""

from __future__ import annotations

import os
from pathlib import Path

from forged import (
    CleanupConfig,
    CleanupEngine,
    ManifestManager,
    MediaEvent,
    MediaEventData,
    MediaEventManager,
    MediaIngestInterface,
    SSHRsyncAdapter,
    SyncConfig,
    SyncEngine,
    SyncProgress,
)
from tests.support.sshd import Sshd


class Kept(MediaIngestInterface):
    def __init__(self) -> None:
        self.files: list[MediaEventData] = []

    async def on_file_synced(self, event: MediaEventData) -> bool:
        self.files.append(event)
        return True


async def test_a_folder_comes_home_is_remembered_told_and_cleaned_up(sshd: Sshd, away_from_home: Path, tmp_path: Path) -> None:
    box, home = tmp_path / "box" / "txt2img-images", tmp_path / "media" / "txt2img-images"
    box.mkdir(parents=True)
    home.mkdir(parents=True)
    for name in ("a.bin", "b.bin"):
        (box / name).write_bytes(name.encode())
        os.utime(box / name, (1_700_000_000, 1_700_000_000))
    transport = SSHRsyncAdapter("127.0.0.1", sshd.port, sshd.user, identity_file=sshd.identity)
    events, kept, seen = MediaEventManager(), Kept(), list[SyncProgress]()
    events.subscribe(MediaEvent.FILE_SYNCED, kept)
    memory = tmp_path / "manifests" / "forge.json"
    engine = SyncEngine(transport=transport, manifest_path=memory, event_manager=events)
    config = SyncConfig(
        source_type="forge", source_host="127.0.0.1", source_port=sshd.port, dest_path=str(home), options={"settle": "0s"}
    )

    result = await engine.sync_folder(source=str(box), dest=str(home), config=config, progress_callback=seen.append)
    assert (result.success, result.files_transferred, result.errors) == (True, 2, [])
    assert sorted(Path(one.file_path).read_bytes() for one in kept.files) == [b"a.bin", b"b.bin"]
    assert seen[-1].to_dict()["progress_percent"] == 100.0

    (box / "c.bin").write_bytes(b"c")
    (box / "a.bin").unlink()
    new, modified, deleted = ManifestManager(memory).get_changes(await transport.list_files(str(box)))
    assert [[Path(one.path).name for one in part] for part in (new, modified, deleted)] == [["c.bin"], [], ["a.bin"]]

    cleanup = CleanupEngine(CleanupConfig(age_hours=0))
    cleaned = await cleanup.cleanup_old_media(str(tmp_path / "box"), transport=transport)
    assert (cleaned.files_deleted, cleaned.errors, os.listdir(box)) == (1, [], ["c.bin"])
    assert sorted(path.name for path in home.iterdir() if path.name != ".forged") == ["a.bin", "b.bin"]
