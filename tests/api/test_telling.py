"""Handlers in the user's own process: each event comes to each of them, whoever syncs beside or within whom."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forged import (
    CleanupConfig,
    CleanupEngine,
    LocalAdapter,
    MediaEvent,
    MediaEventData,
    MediaEventManager,
    MediaIngestInterface,
    SyncEngine,
)
from tests.api.conftest import Grounds

if TYPE_CHECKING:
    from forged.ingest.interface import Json


class Albums(MediaIngestInterface):
    """Takes batches, and lets others run meanwhile."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses, self.names, self.batches = refuses, list[str](), list[int]()

    async def on_batch_synced(self, events: Sequence[MediaEventData]) -> int:
        await asyncio.sleep(0)
        self.batches.append(len(events))
        wanted = [Path(event.file_path).name for event in events if Path(event.file_path).name != self.refuses]
        if len(wanted) == len(events):
            self.names += wanted
        return len(wanted)


def told(*handlers: Albums) -> MediaEventManager:
    events = MediaEventManager()
    for one in handlers:
        events.subscribe(MediaEvent.FILE_SYNCED, one)
    return events


def pairs(grounds: Grounds, folders: int, files: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Folders of the box with their places at home; and all names in them."""
    names = [f"{folder}-{number}.png" for folder in range(folders) for number in range(files)]
    for name in names:
        grounds.make(f"{name[0]}/{name}", name.encode())
    return [(f"{grounds.outputs}/{folder}", f"{grounds.media}/{folder}") for folder in range(folders)], names


async def test_folders_at_once_are_told_once(grounds: Grounds) -> None:
    folder_pairs, names = pairs(grounds, folders=3, files=8)
    albums = Albums()
    engine = SyncEngine(LocalAdapter(), grounds.manifest, told(albums))
    results = await engine.sync_folders_parallel(folder_pairs, grounds.config(options={"settle": "0s"}))
    assert [one.errors for one in results] == [[]] * 3
    assert sorted(albums.names) == names
    assert max(albums.batches) > 1


async def test_one_manager_at_two_memories_is_told_all(grounds: Grounds) -> None:
    folder_pairs, names = pairs(grounds, folders=2, files=8)
    heard = list[str]()

    async def hear(event: MediaEventData) -> None:
        await asyncio.sleep(0.01)  # long enough that both memories deliver at the same time
        heard.append(Path(event.file_path).name)

    events = MediaEventManager()
    events.subscribe(MediaEvent.FILE_SYNCED, hear)
    engines = [SyncEngine(LocalAdapter(), grounds.manifest.with_name(f"{one}.json"), events) for one in range(2)]
    syncs = (
        one.sync_folder(*pair, grounds.config(options={"settle": "0s"})) for one, pair in zip(engines, folder_pairs, strict=True)
    )
    assert [one.errors for one in await asyncio.gather(*syncs)] == [[], []]
    assert sorted(heard) == names, "two memories have the same ids for different events"


async def test_a_batch_that_is_not_taken_whole_comes_again_in_parts(grounds: Grounds) -> None:
    [pair], names = pairs(grounds, folders=1, files=8)
    albums, others = Albums(refuses="0-3.png"), Albums()
    engine = SyncEngine(LocalAdapter(), grounds.manifest, told(albums, others))
    result = await engine.sync_folder(*pair, grounds.config(options={"settle": "0s"}))
    assert result.success
    assert ["did not take" in word for word in result.errors] == [True]
    assert sorted(albums.names) == [name for name in names if name != "0-3.png"]
    assert sorted(others.names) == names
    albums.refuses = ""
    assert (await engine.sync_folder(*pair, grounds.config(options={"settle": "0s"}))).errors == []
    assert sorted(albums.names) == names


async def test_a_handler_may_sync_and_hears_of_that_too(grounds: Grounds) -> None:
    folder_pairs, names = pairs(grounds, folders=2, files=2)
    left = folder_pairs[1:]

    class Next(Albums):
        async def on_sync_complete(self, sync_id: str, summary: Mapping[str, Json]) -> bool:
            if left:
                await engine.sync_folder(*left.pop(), grounds.config(options={"settle": "0s"}))
            return True

    handler = Next()
    events = told(handler)
    events.subscribe(MediaEvent.SYNC_COMPLETE, handler)
    engine = SyncEngine(LocalAdapter(), grounds.manifest, events)
    async with asyncio.timeout(60):
        await engine.sync_folder(*folder_pairs[0], grounds.config(options={"settle": "0s"}))
    assert sorted(handler.names) == names


async def test_what_the_cleanup_removes_is_told(grounds: Grounds) -> None:
    [(source, dest)], [name] = pairs(grounds, folders=1, files=1)
    transport, removed = LocalAdapter(), list[str]()
    events = MediaEventManager()
    events.subscribe(MediaEvent.FILE_REMOVED, lambda event: removed.append(Path(event.file_path).name))
    await SyncEngine(transport, grounds.manifest, events).sync_folder(source, dest, grounds.config(options={"settle": "0s"}))
    cleanup = CleanupEngine(CleanupConfig(age_hours=0))
    assert (await cleanup.cleanup_old_media(source, dry_run=True, transport=transport)).files_deleted == 1
    assert removed == []
    result = await cleanup.cleanup_old_media(source, transport=transport)
    assert (result.files_deleted, result.errors, removed) == (1, [], [name])
