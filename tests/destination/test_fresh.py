"""Files that have just become whole stay open until they land, within bounds; without it they land all the same."""

from __future__ import annotations

import resource
from contextlib import aclosing
from pathlib import Path

import pytest

from forged.destination.base import Destination
from forged.destination.fresh import MOST_HELD, SHARE_OF_LIMIT
from forged.destination.posix import PosixDestination
from forged.destination.sink import StagingSink
from forged.model.files import Problem
from forged.model.transfer import Landed, Receipt, Request
from tests.destination.places import MTIME_NS, landing, pieces, posix, request, tree
from tests.destination.test_staging import open_below, open_files


async def poured(sink: StagingSink, wanted: Request, data: bytes, size: int = 1 << 20) -> Receipt:
    return Receipt(wanted.entry, (await sink.write(pieces(wanted, data, size)))[0])


async def lands(home: Destination, *receipts: Receipt) -> bool:
    answers = await home.land([landing(receipt) for receipt in receipts])
    return all(isinstance(answer, Landed) for answer in answers)


@pytest.mark.parametrize("piece_bytes", [6, 2], ids=["in one piece", "in several"])
async def test_a_file_is_open_from_its_last_byte_until_it_lands(home: PosixDestination, dest: Path, piece_bytes: int) -> None:
    async with aclosing(home.sink()) as sink:
        receipt = await poured(sink, request(b"x/a.png", b"pixels"), b"pixels", piece_bytes)
        assert open_files(dest) == 1
        assert await lands(home, receipt)
        assert [path for path in open_below(dest) if not Path(path).is_dir()] == []
    assert (dest / "x/a.png").read_bytes() == b"pixels"
    assert (dest / "x/a.png").stat().st_mtime_ns == MTIME_NS


async def test_the_last_sink_lets_go_of_what_has_not_landed_and_it_lands_all_the_same(home: PosixDestination, dest: Path) -> None:
    async with aclosing(home.sink()) as sink:
        receipt = await poured(sink, request(b"a.png", b"pixels"), b"pixels")
    assert open_below(dest) == []
    assert await lands(home, receipt)
    assert (dest / "a.png").stat().st_mtime_ns == MTIME_NS


async def test_few_are_open_where_few_may_be_and_all_land(dest: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * SHARE_OF_LIMIT, hard))
    try:
        home = posix(dest)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await home.ready(None)
    async with aclosing(home.sink()) as sink:
        receipts = [await poured(sink, request(b"%d.png" % n, b"%d" % n), b"%d" % n) for n in range(9)]
        assert open_files(dest) == 2
        assert await lands(home, *receipts)
    assert tree(dest) == {f"{n}.png": b"%d" % n for n in range(9)}
    await home.aclose()


async def test_never_more_than_a_landing_takes_are_open(home: PosixDestination, dest: Path) -> None:
    many = [request(b"%d.png" % n, b"") for n in range(MOST_HELD + 5)]
    async with aclosing(home.sink()) as sink:
        await sink.write([piece for wanted in many for piece in pieces(wanted, b"")])
        assert open_files(dest) <= MOST_HELD


async def test_what_another_attempt_has_taken_the_place_of_does_not_land(home: PosixDestination, dest: Path) -> None:
    data = b"pixels and more pixels"
    async with aclosing(home.sink()) as sink:
        old = await poured(sink, request(b"a.png", data), data)
        again = pieces(request(b"a.png", data), data, 5)
        await sink.write(again[:2])
        (answer,) = await home.land([landing(old)])
        assert isinstance(answer, Problem)
        (staged,) = await sink.write(again[2:])
        assert await lands(home, Receipt(old.entry, staged))
    assert tree(dest) == {"a.png": data}


@pytest.mark.parametrize("end", ["discard", "sweep"])
async def test_what_is_thrown_away_is_let_go_of(home: PosixDestination, dest: Path, end: str) -> None:
    async with aclosing(home.sink()) as sink:
        receipt = await poured(sink, request(b"a.png", b"pixels"), b"pixels")
        await (home.sweep(()) if end == "sweep" else home.discard([receipt.staged.staging]))
        assert open_files(dest) == 0
        assert not await lands(home, receipt)
    assert tree(dest) == {}


async def test_nothing_stays_open_behind_a_destination(dest: Path) -> None:
    home = posix(dest)
    await home.ready(None)
    await poured(home.sink(), request(b"a.png", b"pixels"), b"pixels")
    await home.aclose()
    assert open_below(dest) == []
