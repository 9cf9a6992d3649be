"""The staging area on a real disk: what a crash leaves, what is bounded, and what is nobody else's business."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import random
import subprocess
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.destination.ahead import Ahead
from forged.destination.posix import PosixDestination
from forged.destination.pouring import NOTE_EVERY_BYTES, ahead_name, part_name
from forged.destination.staging import MOST_OPEN, STEP_BYTES
from forged.model.errors import DestinationError, MarkerMissing, SourceBroken
from forged.model.transfer import Piece, Wholeness
from tests.destination.places import landing, needs_root, pieces, posix, pour, request, tmpfs, tree


def open_below(dest: Path) -> list[str]:
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    return [path for path in map(os.path.realpath, links) if path.startswith(str(dest))]


def open_files(dest: Path) -> int:
    return len([path for path in open_below(dest) if ".part" in path])  # that may be deleted meanwhile


async def test_the_format_is_looked_at_when_the_last_byte_is_there(dest: Path) -> None:
    seen: list[tuple[bytes, int]] = []

    def inspect(fd: int, size_bytes: int, beginning: bytes) -> Wholeness:
        seen.append((os.pread(fd, 100, 0), size_bytes))
        return Wholeness.BROKEN

    home = posix(dest, inspect=inspect)
    await home.ready(None)
    (receipt,) = await pour(home, (b"a.png", b"pixels"))
    assert seen == [(b"pixels", 6)]
    assert receipt.staged.wholeness is Wholeness.BROKEN
    await home.aclose()


async def test_many_unfinished_files_hold_few_descriptors(home: PosixDestination, dest: Path) -> None:
    files = [(request(b"%d.png" % n, bytes([n]) * 20), bytes([n]) * 20) for n in range(3 * MOST_OPEN)]
    async with aclosing(home.sink()) as sink:
        await sink.write([pieces(wanted, data, 10)[0] for wanted, data in files])
        assert open_files(dest) <= MOST_OPEN
        done = await sink.write([pieces(wanted, data, 10)[1] for wanted, data in files])
        assert [one.sha256 for one in done] == [hashlib.sha256(data).digest() for _, data in files]
    assert open_below(dest) == []


async def test_a_closed_sink_holds_no_descriptors_and_keeps_the_beginnings(home: PosixDestination, dest: Path) -> None:
    data = bytes(100)
    wanted = request(b"a.png", data)
    async with aclosing(home.sink()) as sink:
        await sink.write(pieces(wanted, data, 10)[:4])
        assert open_files(dest) == 1
    assert open_below(dest) == []
    assert list(await home.resume_points([wanted.staging])) == [40]


async def test_a_place_that_is_exchanged_while_a_sink_is_open_is_noticed(home: PosixDestination, dest: Path) -> None:
    async with aclosing(home.sink()) as sink:
        await sink.write(pieces(request(b"a.png", b"one"), b"one"))
        (dest / ".forged").rename(dest.parent / "elsewhere")
        with pytest.raises(MarkerMissing):
            await sink.write(pieces(request(b"b.png", b"two"), b"two"))
        (dest.parent / "elsewhere").rename(dest / ".forged")
        await sink.write(pieces(request(b"b.png", b"two"), b"two"))
        (dest / ".forged/id").write_text("9dd7be3c-3b11-4a0c-a3a3-3d42c43a4a60\n")
        with pytest.raises(MarkerMissing):
            await sink.write(pieces(request(b"c.png", b"three"), b"three"))
    assert open_below(dest) == []


@needs_root
async def test_a_disk_that_is_unmounted_while_a_sink_is_open_is_not_taken_for_an_empty_one(dest: Path) -> None:
    home = posix(dest)
    with tmpfs(dest):
        await home.ready(None)
        async with aclosing(home.sink()) as sink:
            await sink.write(pieces(request(b"a.png", b"one"), b"one"))
            subprocess.run(["umount", "--lazy", dest], check=True)
            with pytest.raises(MarkerMissing):
                await sink.write(pieces(request(b"b.png", b"two"), b"two"))
    assert tree(dest) == {}
    await home.aclose()


async def test_a_disk_at_rest_is_not_held(home: PosixDestination, dest: Path) -> None:
    one, other = home.sink(), home.sink()
    for name, sink in ((b"a.png", one), (b"b.png", other)):
        await sink.write(pieces(request(name, name), name))
    await one.aclose()
    await one.aclose()
    assert open_below(dest) != []
    await other.aclose()
    assert open_below(dest) == []


# --- pieces in any order --------------------------------------------------------------------------------------------------


async def test_a_small_file_does_not_wait_until_a_large_one_is_read_back(home: PosixDestination) -> None:
    data = random.Random(1).randbytes(4 * STEP_BYTES)
    first, *others = pieces(request(b"a.mp4", data), data)
    came: list[bytes] = []

    async def come(wanted: Piece) -> None:
        (done,) = await sink.write([wanted])
        came.append(wanted.request.entry.path)
        assert done.sha256 == hashlib.sha256(data if done.size_bytes > 1 else b"b").digest()

    async with aclosing(home.sink()) as sink:
        await sink.write(others)
        await asyncio.gather(come(first), come(pieces(request(b"b.png", b"b"), b"b")[0]))
    assert came == [b"b.png", b"a.mp4"]


async def test_who_writes_goes_on_with_reading_back_where_another_was_cancelled(home: PosixDestination) -> None:
    data = random.Random(1).randbytes(4 * STEP_BYTES)
    first, *middle, last = pieces(request(b"a.mp4", data), data)
    async with aclosing(home.sink()) as sink:
        await sink.write(middle)
        began = asyncio.create_task(sink.write([first]))
        await asyncio.sleep(0)
        await sink.write(pieces(request(b"b.png", b"b"), b"b"))  # comes after the first step of the other, and before its next
        began.cancel()
        (done,) = await sink.write([last])
    assert done.sha256 == hashlib.sha256(data).digest()


async def test_the_note_about_a_hole_lags_only_while_the_file_is_open(home: PosixDestination, dest: Path) -> None:
    data, size = bytes(NOTE_EVERY_BYTES + (8 << 20)), 1 << 20
    wanted = request(b"a.mp4", data)
    parts = pieces(wanted, data, size)
    note = dest / ".forged/staging/box" / os.fsdecode(ahead_name(wanted.staging))
    seen = []
    async with aclosing(home.sink()) as sink:
        await sink.write([parts[-1]])
        for number, part in enumerate(parts[:-3], 1):
            await sink.write([part])
            noted = int(note.read_text())
            assert number * size - NOTE_EVERY_BYTES < noted <= number * size
            seen.append(noted)
    assert len(set(seen)) == 2
    assert list(await home.resume_points([wanted.staging])) == [len(parts[:-3]) * size]


async def test_an_end_before_bytes_that_came_already_is_refused(home: PosixDestination) -> None:
    wanted = request(b"a.png", bytes(30))
    async with aclosing(home.sink()) as sink:
        await sink.write([Piece(wanted, 20, (bytes(10),))])
        with pytest.raises(SourceBroken):
            await sink.write([Piece(wanted, 10, (bytes(5),), last=True)])


@given(st.permutations(range(12)), st.sets(st.integers(1, 11)))
def test_ranges_ahead_are_what_was_added_and_not_taken(order: list[int], cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), 12]
    ranges = [range(start, end) for start, end in itertools.pairwise(edges)]
    ahead, there = Ahead(), set[int]()
    for number in [number for number in order if number < len(ranges)]:
        ahead.add(ranges[number].start, ranges[number].stop)
        there |= set(ranges[number])
        for start, end in itertools.combinations(range(13), 2):
            assert ahead.is_free(start, end) is there.isdisjoint(range(start, end))
        assert (ahead.first, ahead.end) == (min(there), max(there) + 1)
    taken = list(itertools.takewhile(lambda _: bool(ahead), (ahead.take(5) for _ in itertools.count())))
    assert [*taken, 12] == [5, 10, 12]


async def test_what_a_killed_process_leaves_at_each_step_of_a_hole_resumes_rightly(dest: Path) -> None:
    """The states between the writes, made by hand: bytes ahead with a note, a note that lags, a note without bytes."""
    home, data = posix(dest), random.Random(1).randbytes(1000)
    await home.ready(None)
    staging, wanted = dest / ".forged/staging/box", request(b"a.png", data)
    part, note = (staging / os.fsdecode(name(wanted.staging)) for name in (part_name, ahead_name))
    hole = data[:200] + bytes(300) + data[500:]
    for part_bytes, note_bytes, beginning in [
        (hole, b"%020d" % 200, 200),
        (data[:400] + bytes(100) + data[500:], b"%020d" % 200, 200),
        (data[:100], b"%020d" % 200, 100),
        (hole, b"", 0),
        (hole, b"00000", 0),
        (None, b"%020d" % 200, 0),
    ]:
        for path, content in ((part, part_bytes), (note, note_bytes)):
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        assert list(await home.resume_points([wanted.staging])) == [beginning], (note_bytes, beginning)
        again = request(b"a.png", data, beginning)
        async with aclosing(home.sink()) as sink:
            (done,) = await sink.write(pieces(again, data, 99))
        assert done.sha256 == hashlib.sha256(data).digest()
        assert not note.exists() or part_bytes is None
    await home.aclose()


async def test_fewer_staged_bytes_than_asked_for_end_the_attempt(home: PosixDestination) -> None:
    data = bytes(100)
    wanted = request(b"a.png", data, 50)
    async with aclosing(home.sink()) as sink:
        with pytest.raises(DestinationError, match="0 of 50"):
            await sink.write(pieces(wanted, data))


async def test_a_second_name_of_a_file_at_home_is_never_written_to(home: PosixDestination, dest: Path) -> None:
    """Where landing is link and unlink, a crash in between leaves the staged name and the final one on the same file."""
    (receipt,) = await pour(home, (b"a.png", b"pixels"))
    part = dest / ".forged/staging/box" / os.fsdecode(part_name(receipt.staged.staging))
    os.link(part, dest / "a.png")
    assert list(await home.resume_points([receipt.staged.staging])) == [0]
    (again,) = await pour(home, (b"a.png", b"pixels"))
    assert (dest / "a.png").read_bytes() == b"pixels"
    assert (dest / "a.png").stat().st_nlink == 1
    await home.land([landing(again)])
    assert tree(dest) == {"a.png": b"pixels"}


async def test_a_sweep_touches_nothing_of_other_targets_and_of_the_owner(home: PosixDestination, dest: Path) -> None:
    other = posix(dest, namespace="other")
    await other.ready(None)
    await pour(other, (b"theirs.png", b"x"))
    for name in ("probe-12ab-ours", "marker-12ab", f"{'0' * 32}.claim-12ab.tmp"):
        (dest / ".forged/staging/box" / name).touch()
    (dest / "mine.part").touch()
    (dest / ".forged-looks-like-it.part").touch()
    assert await home.sweep(()) == 3
    assert len(tree(dest)) == 3
    await other.aclose()


async def test_writing_goes_on_while_another_target_waits_for_its_disk(home: PosixDestination, dest: Path) -> None:
    other = posix(dest, namespace="other", inspect=lambda fd, size, beginning: Wholeness.UNKNOWN)
    await other.ready(None)
    receipts = await asyncio.gather(*(pour(one, *[(b"%d.png" % n, b"%d" % n) for n in range(50)]) for one in (home, other)))
    assert [len(batch) for batch in receipts] == [50, 50]
    await other.aclose()


async def test_an_empty_last_piece_finishes_a_file_that_was_already_whole(home: PosixDestination) -> None:
    (receipt,) = await pour(home, (b"a.png", b"pixels"))
    wanted = request(b"a.png", b"pixels", 6)
    async with aclosing(home.sink()) as sink:
        (done,) = await sink.write([Piece(wanted, 6, (), last=True)])
    assert done == receipt.staged


async def test_a_file_that_shrank_is_told_with_the_size_that_came(home: PosixDestination) -> None:
    wanted = request(b"a.png", bytes(100))
    async with aclosing(home.sink()) as sink:
        (done,) = await sink.write([Piece(wanted, 0, (b"short",), last=True)])
    assert done.size_bytes == 5
