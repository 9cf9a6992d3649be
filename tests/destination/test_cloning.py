"""Whole files of this machine go into staging by the file system's own means, and are proven all the same."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from forged.destination.posix import PosixDestination
from forged.destination.staging import STEP_BYTES
from forged.kit.budget import ANY_PORTION_BYTES, Budget
from forged.model.errors import DestinationMissing, DiskFull
from forged.model.files import Entry, Stat
from forged.model.paths import source_path
from forged.model.transfer import CloningSink, Landed, Piece, Receipt, Request, Staged, Wholeness
from tests.destination.places import MTIME_NS, always, budget, landing, needs_root, posix, tmpfs

DATA = bytes(range(251)) * 40_000  # 10 MB: three steps, no multiple of a block

FIEMAP = 0xC020660B
"""_IOWR('f', 11, struct fiemap) of linux/fs.h."""
FLAG_SYNC, EXTENT_SHARED = 1, 0x2000


class Original:
    """A file of this machine, open for reading."""

    def __init__(self, path: Path, data: bytes = DATA, listed_bytes: int | None = None) -> None:
        path.write_bytes(data)
        self.data = data
        self.fd = os.open(path, os.O_RDONLY)
        size_bytes = len(data) if listed_bytes is None else listed_bytes
        self.request = Request(Entry(source_path(os.fsencode(path.name)), Stat(size_bytes, MTIME_NS)), "s")

    def close(self) -> None:
        os.close(self.fd)


async def cloned(destination: PosixDestination, original: Original) -> Staged | None:
    async with aclosing(destination.sink()) as sink:
        assert isinstance(sink, CloningSink)
        return await sink.clone(original.request, original.fd)


async def landed(destination: PosixDestination, original: Original, staged: Staged) -> Landed:
    [answer] = await destination.land([landing(Receipt(original.request.entry, staged))])
    assert isinstance(answer, Landed)
    return answer


def expected(data: bytes) -> Staged:
    return Staged("s", len(data), hashlib.sha256(data).digest(), Wholeness.UNKNOWN)


def shares_blocks(path: Path) -> bool:
    """Whether the first extent of a file belongs to others, too (FIEMAP, Documentation/filesystems/fiemap.rst)."""
    request = struct.pack("=QQLLLL", 0, 1 << 40, FLAG_SYNC, 0, 1, 0) + bytes(56)
    with open(path, "rb") as file:
        answer = fcntl.ioctl(file, FIEMAP, request)
    return bool(struct.unpack_from("=L", answer, 32 + 40)[0] & EXTENT_SHARED)


@pytest.fixture
async def home(tmp_path: Path) -> PosixDestination:
    destination = posix(tmp_path / "home")
    await destination.ready(None)
    return destination


@pytest.fixture(params=["xfs", "btrfs"])
def cloning_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system that can share blocks, mounted from a file."""
    make = shutil.which(f"mkfs.{request.param}")
    if os.geteuid() != 0 or make is None:
        pytest.skip(f"mounts a file system: needs root and mkfs.{request.param}")
    image, disk = tmp_path / "image", tmp_path / "disk"
    disk.mkdir()
    image.touch()
    os.truncate(image, 320 << 20)
    subprocess.run([make, "-q", image], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", image, disk], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine has no loop devices left, or its kernel not this file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=False)


# --- the ways -------------------------------------------------------------------------------------------------------------


async def test_where_blocks_can_be_shared_no_byte_is_copied(cloning_disk: Path) -> None:
    destination = posix(cloning_disk / "home")
    await destination.ready(None)
    with closing(Original(cloning_disk / "a.png")) as original:
        staged = await cloned(destination, original)
        assert staged == expected(DATA)
        await landed(destination, original, staged)
    assert (cloning_disk / "home" / "a.png").read_bytes() == DATA
    assert shares_blocks(cloning_disk / "home" / "a.png")
    (cloning_disk / "a.png").write_bytes(b"the original goes on to live its own life")
    assert (cloning_disk / "home" / "a.png").read_bytes() == DATA


async def test_elsewhere_on_one_disk_the_kernel_copies(home: PosixDestination, tmp_path: Path) -> None:
    with closing(Original(tmp_path / "a.png")) as original:
        staged = await cloned(home, original)
        assert staged == expected(DATA)
        await landed(home, original, staged)
    assert (tmp_path / "home" / "a.png").read_bytes() == DATA
    assert os.stat(tmp_path / "home" / "a.png").st_mtime_ns == MTIME_NS


@needs_root
async def test_from_another_disk_nothing_is_staged_and_pieces_do_it(home: PosixDestination, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "other", "20m") as other, closing(Original(other / "a.png")) as original:
        async with aclosing(home.sink()) as sink:
            assert await sink.clone(original.request, original.fd) is None
            await sink.reserve(len(DATA))
            assert await sink.write([Piece(original.request, 0, (DATA,), last=True)]) == [expected(DATA)]


@pytest.mark.parametrize("size", [1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1])
async def test_files_of_every_size_come_whole(size: int, home: PosixDestination, tmp_path: Path) -> None:
    with closing(Original(tmp_path / "a", DATA[:size])) as original:
        assert await cloned(home, original) == expected(DATA[:size])


async def test_the_format_is_looked_at(tmp_path: Path) -> None:
    destination = posix(tmp_path / "home", inspect=always(Wholeness.BROKEN))
    await destination.ready(None)
    with closing(Original(tmp_path / "a.png")) as original:
        staged = await cloned(destination, original)
    assert staged is not None
    assert staged.wholeness is Wholeness.BROKEN


# --- the file changes, or was there before --------------------------------------------------------------------------------


async def test_of_a_file_that_grew_only_what_was_listed_comes(cloning_disk: Path) -> None:
    destination = posix(cloning_disk / "home")
    await destination.ready(None)
    with closing(Original(cloning_disk / "a", listed_bytes=5_000_001)) as original:
        assert await cloned(destination, original) == expected(DATA[:5_000_001])
    assert (cloning_disk / "home" / ".forged" / "staging" / "box" / "s.part").read_bytes() == DATA[:5_000_001]


async def test_a_file_that_shrank_is_left_to_pieces(home: PosixDestination, tmp_path: Path) -> None:
    with closing(Original(tmp_path / "a", listed_bytes=len(DATA) + 1)) as original:
        assert await cloned(home, original) is None
        async with aclosing(home.sink()) as sink:
            await sink.reserve(3)
            assert await sink.write([Piece(original.request, 0, (b"abc",), last=True)]) == [expected(b"abc")]


async def test_a_beginning_of_an_earlier_attempt_is_begun_anew(home: PosixDestination, tmp_path: Path) -> None:
    with closing(Original(tmp_path / "a")) as original:
        async with aclosing(home.sink()) as sink:
            await sink.reserve(3)
            await sink.write([Piece(original.request, 0, (b"xyz",))])
            assert await sink.clone(original.request, original.fd) == expected(DATA)


async def test_what_was_cut_off_in_the_middle_resumes_as_any_other(tmp_path: Path) -> None:
    room = budget().share("x")
    destination = posix(tmp_path / "home", room)
    await destination.ready(None)
    with closing(Original(tmp_path / "a")) as original:
        task = asyncio.create_task(cloned(destination, original))
        while not room.held_bytes:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    [there] = await destination.resume_points(["s"])
    assert there <= len(DATA)
    rest = Request(original.request.entry, "s", there)
    async with aclosing(destination.sink()) as sink:
        await sink.reserve(len(DATA) - there)
        assert await sink.write([Piece(rest, there, (DATA[there:],), last=True)]) == [expected(DATA)]
    assert room.held_bytes == 0


# --- bounds and trouble ---------------------------------------------------------------------------------------------------


class Steps:
    """Room that remembers what was taken."""

    def __init__(self, portion_bytes: int = ANY_PORTION_BYTES) -> None:
        self.portion_bytes = portion_bytes
        self.taken: list[int] = []
        self.held = 0

    async def take(self, size_bytes: int) -> None:
        self.taken.append(size_bytes)
        self.held += size_bytes

    def give(self, size_bytes: int) -> None:
        self.held -= size_bytes


async def test_each_byte_is_asked_for_once_and_the_books_are_even(tmp_path: Path) -> None:
    room = Steps()
    destination = posix(tmp_path / "home", room)
    await destination.ready(None)
    with closing(Original(tmp_path / "a")) as original:
        await cloned(destination, original)
    assert sum(room.taken) == len(DATA)
    assert max(room.taken) <= STEP_BYTES
    assert room.held == 0


async def test_a_limit_is_kept_smoothly(tmp_path: Path) -> None:
    room = Steps(portion_bytes=50_000)
    destination = posix(tmp_path / "home", room)
    await destination.ready(None)
    with closing(Original(tmp_path / "a")) as original:
        assert await cloned(destination, original) == expected(DATA)
    assert max(room.taken) <= 50_000
    assert sum(room.taken) == len(DATA)


async def test_a_narrow_budget_is_enough(tmp_path: Path) -> None:
    narrow = Budget(1)
    destination = posix(tmp_path / "home", narrow.share("x"))
    await destination.ready(None)
    with closing(Original(tmp_path / "a")) as original:
        assert await cloned(destination, original) == expected(DATA)
    assert narrow.held_bytes == 0


async def test_the_descriptor_stays_with_the_caller(home: PosixDestination, tmp_path: Path) -> None:
    with closing(Original(tmp_path / "a")) as original:
        before = len(os.listdir("/proc/self/fd"))
        await cloned(home, original)
        assert len(os.listdir("/proc/self/fd")) == before
        assert os.pread(original.fd, 3, 0) == DATA[:3]


@needs_root
async def test_a_full_disk_is_trouble_of_the_place(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "14m") as small:
        destination = posix(small / "home")
        await destination.ready(None)
        with closing(Original(small / "a")) as original:
            with pytest.raises(DiskFull):
                await cloned(destination, original)


async def test_a_home_that_went_away_is_trouble_of_the_place(home: PosixDestination, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "home")
    with closing(Original(tmp_path / "a")) as original:
        with pytest.raises(DestinationMissing):
            await cloned(home, original)
