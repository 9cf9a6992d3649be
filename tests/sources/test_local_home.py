"""From a local folder home: the source and a real destination together, with the coat that a round puts around the sink."""

from __future__ import annotations

import hashlib
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from forged.destination.posix import PosixDestination
from forged.model.files import ProblemKind
from forged.model.observer import Nobody
from forged.model.transfer import Fetched, Request, Staged
from forged.sources.local import LocalSource
from forged.sync.counted import Counted
from tests.destination.places import posix, tree
from tests.sources.asking import bytes_of, kind_of, listed, requests_of
from tests.sources.boxes import FolderBox
from tests.support.sinks import MIB, MemorySink

SIZES = [0, 1, 4_096, 256 << 10, (256 << 10) + 1, MIB, 5 * MIB + 3, 9 * MIB]


@pytest.fixture
async def home(tmp_path: Path) -> PosixDestination:
    destination = posix(tmp_path / "root" / "home")
    await destination.ready(None)
    return destination


async def test_files_of_all_sizes_come_home_proven(home: PosixDestination, tmp_path: Path) -> None:
    box = FolderBox(tmp_path / "root", LocalSource)
    data = {b"%d" % size: bytes_of(size, size) for size in SIZES}
    for path, content in data.items():
        box.write(path, content)
    async with LocalSource(tmp_path / "root", [tmp_path / "root" / "home"]) as source, aclosing(home.sink()) as sink:
        requests = requests_of((await listed(source))[0])
        assert len(requests) == len(SIZES)
        answers = [answer async for answer in source.fetch(requests, Counted(sink, Nobody(), "box"))]
    for answer in answers:
        assert isinstance(answer, Fetched)
        content = data[answer.request.entry.path]
        assert answer.staged.sha256 == answer.source_sha256 == hashlib.sha256(content).digest()
        assert tree(tmp_path / "root" / "home")[f".forged/staging/box/{answer.request.staging}.part"] == content


class Cloning(MemorySink):
    """Takes a clone of the first bytes only when it is told to, and lets something happen meanwhile."""

    def __init__(self, happens: str, path: bytes) -> None:
        super().__init__()
        self.happens, self.path = happens, path
        self.clones = 0

    async def clone(self, request: Request, fd: int) -> Staged | None:
        self.clones += 1
        data = os.pread(fd, request.entry.stat.size_bytes, 0)
        if self.happens == "grows":
            with open(self.path, "ab") as file:
                file.write(b"more")
        elif self.happens == "replaced":
            with open(self.path + b".new", "wb") as file:
                file.write(data)
            os.rename(self.path + b".new", self.path)
        elif self.happens == "refused":
            return None
        return Staged(request.staging, len(data), hashlib.sha256(data).digest(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("happens", ["nothing", "grows", "replaced", "refused"])
async def test_a_clone_is_looked_at_behind_the_last_byte_as_a_copy_is(happens: str, tmp_path: Path) -> None:
    box = FolderBox(tmp_path / "root", LocalSource)
    entry = box.write(b"big", bytes_of(3 * MIB))
    sink = Cloning(happens, box.at(b"big"))
    async with box.source() as source:
        [answer] = [answer async for answer in source.fetch(requests_of([entry]), sink)]
    assert sink.clones == 1
    assert sink.received == (3 * MIB if happens == "refused" else 0)
    match happens:
        case "replaced":
            assert kind_of(answer) is ProblemKind.CHANGED
        case "grows":
            assert isinstance(answer, Fetched)
            assert answer.after != answer.before
        case _:
            assert isinstance(answer, Fetched)
            assert answer.after == answer.before == entry.stat
            assert answer.source_sha256 == answer.staged.sha256


async def test_a_resumed_file_is_not_cloned(tmp_path: Path) -> None:
    box = FolderBox(tmp_path / "root", LocalSource)
    data = bytes_of(3 * MIB)
    entry = box.write(b"big", data)
    sink = Cloning("nothing", box.at(b"big"))
    sink.resumed = {"s": data[:MIB]}
    async with box.source() as source:
        [answer] = [answer async for answer in source.fetch([Request(entry, "s", MIB)], sink)]
    assert isinstance(answer, Fetched)
    assert sink.clones == 0
    assert sink.content("s") == data
