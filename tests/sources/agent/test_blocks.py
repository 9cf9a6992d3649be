"""Blocks of a listing: what the client does not believe."""

from __future__ import annotations

import asyncio
import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.errors import SourceBroken
from forged.model.files import Entry, ListingEnd, ListingPart, SamePart, Stat
from forged.model.paths import MAX_PATH_BYTES, BadPath, SourcePath, source_path
from forged.sources.agent.blocks import BlockReader, digest, inflated
from forged.sources.agent.listing import GRANT_BLOCKS, UNKNOWN_BYTES, WINDOW_BLOCKS, WINDOW_BYTES, ListingCall, askable
from forged.sources.agent.program import blocks as program
from forged.sources.agent.program.line import BLOCK, END, FACTS, FILES, PLACE, PROBLEMS, RUN
from forged.sources.agent.wire import DIGEST_BYTES, MAX_BLOCK_BYTES, MAX_KNOWN, Frame, Kind
from tests.sources.agent.packing import GOOD_FACTS, files_block, planes, problems_block

LOOKS = Stat(1000, 1, 2, 3)
FIRST_BLOCKS = WINDOW_BYTES // UNKNOWN_BYTES


def test_files_of_several_folders_are_read_as_they_were_packed() -> None:
    facts = [FACTS.pack(size, -size, size + 1, 1 << 62) for size in range(3)]
    block = BLOCK.pack(FILES, 2) + RUN.pack(0, 1) + RUN.pack(3, 2) + b"ab/" + b"a\0\x01\0\xff.png\0" + planes(facts)
    entries = [Entry(SourcePath(path), Stat(n, -n, n + 1, 1 << 62)) for n, path in enumerate((b"a", b"ab/\x01", b"ab/\xff.png"))]
    part = BlockReader(()).part(block)
    assert part == ListingPart(tuple(entries), digest=digest(3, block))
    assert digest(3, block) == program.digest(3, block)
    assert len(digest(3, block)) == DIGEST_BYTES


LIES = {
    "a name that climbs out": files_block((b"", [b".."])),
    "a name that goes nowhere": files_block((b"", [b"."])),
    "a name that is empty": files_block((b"a/", [b""])),
    "a name that is a path": files_block((b"a/", [b"b/c"])),
    "a name that is too long": files_block((b"", [b"n" * 256])),
    "a path that is too long": files_block((b"d/" * 2000 + b"e" * 90 + b"/", [b"n" * 100])),
    "a folder that climbs out": files_block((b"a/../b/", [b"c"])),
    "a folder of the system": files_block((b"/", [b"passwd"])),
    "an absolute folder": files_block((b"/etc/", [b"passwd"])),
    "a folder without an end": files_block((b"etc", [b"passwd"])),
    "a folder with NUL": files_block((b"a\0b/", [b"c"])),
    "a folder twice over": files_block((b"a//b/", [b"c"])),
    "a file twice": files_block((b"", [b"a", b"a"])),
    "names that descend": files_block((b"", [b"b", b"a"])),
    "folders that descend": files_block((b"b/", [b"a"]), (b"a/", [b"a"])),
    "files behind those of their folders": files_block((b"b/", [b"z"]), (b"", [b"b!"])),
    "a negative size": files_block((b"", [b"a"]), facts=FACTS.pack(-1, 1, 2, 3)),
    "a negative inode": files_block((b"", [b"a"]), facts=FACTS.pack(1, 1, -2, 3)),
    "nothing": b"",
    "no files": files_block(),
    "a folder without files": files_block((b"a/", [])),
    "a folder without files among others": files_block((b"a/", []), (b"b/", [b"c"])),
    "half a head": b"\0",
    "half a folder": BLOCK.pack(FILES, 1) + RUN.pack(9, 1) + b"fold",
    "facts that would begin before the names": BLOCK.pack(FILES, 1) + RUN.pack(0, 2) + b"a\0bb\0" + bytes(26),
    "half of the folders": BLOCK.pack(FILES, 2) + files_block((b"a/", [b"b"]))[BLOCK.size :],
    "half of the facts": files_block((b"", [b"a", b"b"]))[:-33],
    "more facts than files": files_block((b"", [b"a"])) + b"x" * 32,
    "more files than there are": BLOCK.pack(FILES, 1) + RUN.pack(0, 60000) + b"a\0" + GOOD_FACTS,
    "more names than files": BLOCK.pack(FILES, 1) + RUN.pack(0, 1) + b"a\0b\0" + GOOD_FACTS,
    "a name without an end": BLOCK.pack(FILES, 1) + RUN.pack(0, 1) + b"ab" + GOOD_FACTS,
    "a block of no kind": BLOCK.pack(7, 1) + problems_block(b"a")[BLOCK.size :],
    "no problems": BLOCK.pack(PROBLEMS, 0),
    "a problem of no kind": problems_block(b"a", kind=77),
    "a problem that listings do not have": problems_block(b"a", kind=1),
    "a cancelled problem": problems_block(b"a", kind=0),
    "an endless message": problems_block(b"a", message=b"m" * 301),
    "a problem with an endless path": problems_block(b"a" * 6000),
    "a problem with NUL": problems_block(b"a\0b"),
    "half a problem": problems_block(b"abc")[:-1],
    "a problem too many": problems_block(b"abc") + b"x",
    "a problem too few": BLOCK.pack(PROBLEMS, 2) + problems_block(b"abc")[BLOCK.size :],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_block_that_lies_is_broken(lie: str) -> None:
    with pytest.raises(SourceBroken):
        BlockReader(()).part(LIES[lie])


def test_a_listing_out_of_order_over_two_blocks_is_broken() -> None:
    reader = BlockReader(())
    reader.part(files_block((b"", [b"b"])))
    with pytest.raises(SourceBroken):
        reader.part(files_block((b"", [b"a"])))


def test_a_file_outside_the_folders_asked_for_is_broken() -> None:
    for stray in (b"cc/", b"", b"b/"):
        reader = BlockReader([source_path(b"a"), source_path(b"c")])
        reader.part(files_block((b"a/", [b"x"]), (b"c/", [b"x"])))
        with pytest.raises(SourceBroken):
            reader.part(files_block((stray, [b"x"])))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_path_is_allowed_where_source_path_allows_it(folder: bytes, name: bytes) -> None:
    prefix = folder + b"/" if folder else b""
    try:
        allowed = source_path(prefix + name) == prefix + name and b"/" not in name
    except BadPath:
        allowed = False
    try:
        assert BlockReader(()).part(files_block((prefix, [name]))).entries == (Entry(SourcePath(prefix + name), LOOKS),)
    except SourceBroken:
        assert not allowed
    else:
        assert allowed


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=200).map(lambda some: BLOCK.pack(FILES, 1) + RUN.pack(0, 2) + some)))
def test_garbage_raises_source_broken_and_nothing_else(garbage: bytes) -> None:
    try:
        BlockReader(()).part(garbage)
    except SourceBroken:
        pass


A_BLOCK = zlib.compress(files_block((b"", [b"a"])))

BAD_STREAMS = {
    "a zip bomb": zlib.compress(bytes(1 << 26), 9),
    "good files that are too many": zlib.compress(files_block((b"", [b"%09d" % n for n in range(MAX_BLOCK_BYTES // 40)]))),
    "no zlib at all": b"hello",
    "half a block": A_BLOCK[:-1],
    "something behind a block": A_BLOCK + b"x",
}


@pytest.mark.parametrize("stream", BAD_STREAMS)
def test_a_block_that_is_not_one_whole_bounded_stream_is_broken(stream: str) -> None:
    with pytest.raises(SourceBroken):
        inflated(BAD_STREAMS[stream])


def test_the_longest_path_there_can_be_is_allowed() -> None:
    prefix = b"d/" * 1920
    assert len(prefix) + 255 < MAX_PATH_BYTES
    longest = MAX_PATH_BYTES - len(prefix + b"e" * 200 + b"/")
    [entry] = BlockReader(()).part(files_block((prefix + b"e" * 200 + b"/", [b"n" * longest]))).entries
    assert len(entry.path) == MAX_PATH_BYTES


# --- a call ---------------------------------------------------------------------------------------------------------------

KNOWN = digest(5, b"one"), digest(7, b"another")


def said(kind: Kind, payload: bytes) -> Frame:
    return Frame(kind, 1, payload)


def places(*which: int) -> Frame:
    return said(Kind.SAME, b"".join(PLACE.pack(place) for place in which))


async def heard(call: ListingCall, *frames: Frame) -> list[ListingPart | SamePart | ListingEnd]:
    for frame in frames:
        call.take(frame)
    items = [await call.next()]
    while not isinstance(items[-1], ListingEnd):
        items.append(await call.next())
    return items


async def test_known_parts_are_counted_and_come_where_they_are_told() -> None:
    call = ListingCall((), KNOWN, b"/root")
    assert call.to_grant() == FIRST_BLOCKS
    frames = places(1), said(Kind.LISTED, A_BLOCK), places(0), said(Kind.LIST_END, END.pack(13, 1))
    items = await heard(call, *frames)
    assert [item.digest for item in items if not isinstance(item, ListingEnd)] == [KNOWN[1], digest(1, inflated(A_BLOCK)), KNOWN[0]]


BROKEN = {
    "a place that was not asked for": [places(2)],
    "a place twice": [places(1, 1)],
    "a place twice, in two goes": [places(1), places(1)],
    "more places than there are": [places(0, 1, 0)],
    "no places": [places()],
    "half a place": [said(Kind.SAME, b"\0")],
    "a count that leaves out what is known": [places(1), said(Kind.LIST_END, END.pack(0, 1))],
    "a count of what was not told": [said(Kind.LIST_END, END.pack(12, 1))],
    "more blocks than granted": [said(Kind.LISTED, A_BLOCK)] * (WINDOW_BLOCKS + 1),
}


@pytest.mark.parametrize("lie", BROKEN)
async def test_a_listing_that_says_more_or_less_than_it_may_is_broken(lie: str) -> None:
    call = ListingCall((), KNOWN, b"/root")
    call.to_grant()
    with pytest.raises(SourceBroken):
        await heard(call, *BROKEN[lie])


async def test_nothing_is_known_that_was_not_said_to_be() -> None:
    call = ListingCall((), (), b"/root")
    call.to_grant()
    with pytest.raises(SourceBroken):
        call.take(places(0))


async def test_blocks_are_granted_as_they_are_read() -> None:
    call = ListingCall((), KNOWN, b"/root")
    numbers = itertools.count()

    def say(blocks: int) -> None:
        for _ in range(blocks):
            assert call.expecting
            call.take(said(Kind.LISTED, zlib.compress(files_block((b"", [b"%04d" % next(numbers)])))))
        assert not call.expecting

    assert (call.to_grant(), call.to_grant()) == (FIRST_BLOCKS, 0)
    call.take(places(0, 1))
    say(FIRST_BLOCKS)
    assert call.to_grant() == WINDOW_BLOCKS - FIRST_BLOCKS, "they are small"
    say(WINDOW_BLOCKS - FIRST_BLOCKS)
    granted = []
    async with asyncio.timeout(5):
        for _ in range(2 + GRANT_BLOCKS):
            await call.next()
            granted.append(call.to_grant())
    assert granted == [0] * (1 + GRANT_BLOCKS) + [GRANT_BLOCKS]


async def test_large_blocks_that_wait_are_few() -> None:
    call, number, unread, most_bytes = ListingCall((), (), b"/root"), 0, 0, 0
    for _ in range(20):
        for _ in range(call.to_grant()):
            number, unread = number + 1, unread + 1
            large = zlib.compress(files_block((b"%09d/" % number, [b"%04d" % n for n in range(1_500)])), 0)
            call.take(said(Kind.LISTED, large))
        most_bytes = max(most_bytes, unread * len(large))
        for _ in range(min(unread, 10)):
            await call.next()
            unread -= 1
    assert number > 100
    assert most_bytes < 2.5 * WINDOW_BYTES


def test_a_block_of_long_paths_unfolds_to_little() -> None:
    """What an honest agent makes of a folder with a path as long as can be is well below the bound; a block without it is not."""
    deep = (b"d" * 200 + b"/") * 19
    made: list[bytes] = []
    blocks = program.Blocks(made.append, lambda places: None, {})
    names = [b"%05d" % n for n in range(10_000)]
    blocks.files(deep, [name + b"\0" + GOOD_FACTS for name in names])
    blocks.flush()
    reader = BlockReader(())
    paths = [entry.path for block in made for entry in reader.part(block).entries]
    assert paths == [deep + name for name in names]
    with pytest.raises(SourceBroken, match="unfolds"):
        BlockReader(()).part(files_block((deep, names[:1_500])))


def test_as_many_digests_are_asked_for_as_one_question_holds() -> None:
    many = [number.to_bytes(DIGEST_BYTES, "big") for number in range(MAX_KNOWN + 10)]
    assert askable([b"", b"short", *many[:3], *many]) == tuple(many[:MAX_KNOWN])
