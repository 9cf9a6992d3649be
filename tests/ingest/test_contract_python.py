"""Python handlers, held to the contract; the other side is a class in a real process. And what such a class may do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.ingest.python import Python
from forged.model.errors import IngestError
from forged.model.events import Event, EventId, EventKind
from forged.model.settings import PythonIngest
from tests.ingest.contract import HandlerContract, Moody, synced
from tests.ingest.happened import AT_NS
from tests.ingest.test_contract_command import alive
from tests.support.daemon import until

CLASSES = """
import asyncio, os, pathlib, sys, time
from forged.ingest.interface import MediaEventData, MediaIngestInterface

HERE = pathlib.Path(__file__).parent

def keep(text):
    with (HERE / "kept").open("a", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text + "\\0")

def mood():
    match (HERE / "mood").read_text():
        case "fails": raise RuntimeError("the disk is full")
        case "hangs": time.sleep(1000)
        case "lies": os.write(3, b"rubbish" * 9999); os.write(4, b"x" * 9999); os._exit(0)

class Keeper(MediaIngestInterface):
    async def on_batch_synced(self, events):
        mood()
        return await super().on_batch_synced(events)
    async def on_file_synced(self, event: MediaEventData) -> bool:
        keep(event.file_path)
        return True
    async def on_file_removed(self, event):
        keep(event.file_path)

class Plain:
    def on_file_synced(self, event): keep(f"{event.file_path} {event.file_size} {event.file_hash[:4]} {event.prompt}")
    def on_sync_complete(self, sync_id, summary): keep(f"{sync_id} {summary['files']}")
    def on_event(self, event): keep(event.event.value)
    def close(self): keep("closed")

class Says(Plain):
    def on_file_synced(self, event): return False

class Few(Plain):
    def on_batch_synced(self, events): return 1

class Raises(Plain):
    def on_file_synced(self, event): raise KeyError("no\\x1b[2J such")

class Exits(Plain):
    def on_file_synced(self, event): print("so long"); sys.exit(3)

class Gone(Plain):
    def on_file_synced(self, event): os._exit(0)

class Blocks(Plain):
    async def on_file_synced(self, event):
        if not os.fork(): time.sleep(1000)
        keep(str(os.getpid())); time.sleep(1000)

class Chatters(Plain):
    def on_file_synced(self, event):
        for _ in range(50_000): print("words without end")
        os.write(1, b"\\xff" * 100_000)
        keep("well")

class Forks(Plain):
    def on_file_synced(self, event):
        os.fork()  # and both come back

class Broken:
    def __init__(self): raise ValueError("no database")
"""


class ClassReceiver(Moody):
    """Appends the paths it is given to a file."""

    def __init__(self, folder: Path, name: str = "Keeper", timeout_s: float = 3.0) -> None:
        super().__init__(folder)
        (folder / "owners_own.py").write_text(CLASSES)
        self.handler = Python("own", PythonIngest(f"owners_own:{name}", timeout_s))

    async def taken(self) -> list[str]:
        with (self.folder / "kept").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read().split("\0")[:-1]


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


class TestPython(HandlerContract):
    @pytest.fixture
    async def receiver(self, tmp_path: Path) -> AsyncIterator[ClassReceiver]:
        receiver = ClassReceiver(tmp_path)
        yield receiver
        await receiver.handler.aclose()


async def test_a_plain_class_with_plain_methods_will_do(tmp_path: Path) -> None:
    receiver = ClassReceiver(tmp_path, "Plain", 20.0)
    complete = Event(EventId(2), EventKind.SYNC_COMPLETE, "studio", AT_NS, "sync_1", json.dumps({"sync_id": "sync_1", "files": 2}))
    lost = Event(EventId(3), EventKind.TARGET_LOST, "studio", AT_NS, "studio", "{}")
    await receiver.handler.deliver([synced(1), complete, lost, synced(4, kind=EventKind.FILE_REMOVED)])
    await receiver.handler.aclose()
    assert await receiver.taken() == ["/media/studio/00001.png 1 0000 a cat 1", "sync_1 2", "target_lost", "closed"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Says", "on_file_synced says that it did not take it"),
        ("Few", "took 1 of 2"),
        ("Raises", r"KeyError: .* such.*owners_own\.py, line \d+"),
        ("Exits", "exit status 3"),
        ("Gone", "exit status 0"),
        ("Broken", "cannot be loaded: ValueError: no database"),
        ("Missing", "cannot be loaded: AttributeError"),
    ],
)
async def test_what_a_class_does_is_told_and_the_process_has_ended(name: str, said: str, tmp_path: Path) -> None:
    receiver = ClassReceiver(tmp_path, name, 20.0)
    with pytest.raises(IngestError, match=said) as error:
        await receiver.handler.deliver([synced(1), synced(2)])
    assert error.value.message.isprintable()
    assert receiver.handler.pid is None


async def test_one_that_blocks_is_killed_with_what_it_forked(tmp_path: Path) -> None:
    receiver = ClassReceiver(tmp_path, "Blocks", 3.0)
    with pytest.raises(IngestError, match="not answered within 3 s"):
        await receiver.handler.deliver([synced(1)])
    [pid] = await receiver.taken()
    await asyncio.to_thread(until, lambda: not alive(int(pid)))  # killed, which takes a moment on a busy machine


@pytest.mark.parametrize("name", ["Chatters", "Forks"])
async def test_what_it_prints_and_forks_disturbs_nobody(name: str, tmp_path: Path) -> None:
    receiver = ClassReceiver(tmp_path, name, 60.0)
    for number in (1, 2):
        await receiver.handler.deliver([synced(number)])
    assert receiver.handler.pid is not None
    os.kill(receiver.handler.pid, 9)
    with pytest.raises(IngestError, match=r"signal 9|did not take"):
        await receiver.handler.deliver([synced(3)])
    await receiver.handler.deliver([synced(3)])
    await receiver.handler.aclose()


async def test_a_handler_by_an_entry_points_name(tmp_path: Path) -> None:
    info = tmp_path / "own-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[forged.ingest]\narchive = owners_own:Plain\n")
    receiver = ClassReceiver(tmp_path)
    for name, error in (("archive", None), ("nothing", "no installed package has an entry point 'nothing'")):
        receiver.handler = Python("own", PythonIngest(name, 20.0))
        if error is None:
            await receiver.handler.deliver([synced(1)])
        else:
            with pytest.raises(IngestError, match=error):
                await receiver.handler.deliver([synced(1)])
        await receiver.handler.aclose()
    assert (await receiver.taken())[-1] == "closed"
