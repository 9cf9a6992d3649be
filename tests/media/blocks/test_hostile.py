"""Hostile bytes: an answer in bounded time and memory, never an exception."""

from __future__ import annotations

import functools
import os
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.media.blocks.findings import MOST_ALL_BYTES, MOST_PROBLEMS, MOST_TEXT_BYTES, MOST_TEXTS
from forged.media.blocks.table import read
from forged.media.containers.reader import MAX_STEPS
from forged.model.media import MediaInfo, MediaKind
from tests.media.blocks.building import (
    ASCII,
    avif,
    box,
    chunk,
    comment_of,
    gif,
    glb,
    jpeg,
    looked_into,
    png,
    riff_chunk,
    safetensors,
    segment,
    sub_blocks,
    text_chunk,
    tiff,
    vp8x,
    webp,
)
from tests.media.blocks.test_streams import FORMS, written
from tests.media.judging import Memory
from tests.media.making import whole_files

MANY = MAX_STEPS + 10
EXIF = comment_of(b"UNICODE\0" + "a cat".encode("utf-16-be"))


@functools.cache
def files() -> dict[str, bytes]:
    """One of each kind, with texts in it."""
    return {
        **whole_files(),
        **{f"tagged {name}": written(form) for name, form in FORMS.items()},
        "png with texts": png(
            text_chunk("a", "b"), chunk(b"eXIf", EXIF), chunk(b"iTXt", b"k\0\1\0en\0\0" + zlib.compress(b"c" * 99))
        ),
        "jpeg with texts": jpeg(
            segment(0xE1, b"Exif\0\0" + EXIF), segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\4\x1c\2\0\0")
        ),
        "webp with texts": webp(vp8x(), riff_chunk(b"EXIF", EXIF), riff_chunk(b"XMP ", b"<x/>")),
        "gif with texts": gif(b"\x21\xfe" + sub_blocks(b"a cat" * 99), b"\x21\xff\x0bXMP DataXMP<x/>\x01\xff\xfe\0"),
        "avif with texts": avif(EXIF, b"<x/>"),
        "jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"jxlc", b"\xff\x0a" + bytes(30)) + box(b"Exif", bytes(4), EXIF),
        "tiff with texts": tiff([(0x010E, ASCII, b"a long text")], [(0x9286, 7, b"ASCII\0\0\0cat")]),
        "svg": b'<?xml?><!-- c --><svg width="6" height="4" viewBox="0 0 6 4"><metadata><![CDATA[{}]]></metadata></svg>',
        "glb with texts": glb(b'{"asset": {"extras": {"prompt": "{}"}}}'),
        "safetensors": safetensors(b'{"__metadata__": {"prompt": "{}"}, "latent_tensor": {"shape": [1, 4]}}'),
        "bmp": b"BM" + bytes(12) + struct.pack("<Iii", 40, 64, -48),
    }


def is_sound(info: MediaInfo) -> bool:
    """Within the bounds, and such as every border can carry."""
    sizes = [len(block.text.encode()) for block in info.raw]
    numbers = (info.width, info.height, info.frames, info.duration_s, info.fps)
    return (
        len(sizes) <= MOST_TEXTS
        and max(sizes, default=1) <= MOST_TEXT_BYTES
        and sum(sizes) <= MOST_ALL_BYTES
        and len(info.problems) <= MOST_PROBLEMS
        and all(number is None or 0 < number < 1e10 for number in numbers)
        and all(len(text.encode()) < 1000 for text in (*(block.place for block in info.raw), *info.problems))
    )


@pytest.mark.parametrize("kind", sorted(files()))
def test_a_file_that_is_cut_at_any_of_twenty_places_is_read_as_far_as_it_goes(kind: str) -> None:
    data = files()[kind]
    whole = looked_into(data)
    with Memory(data) as memory:
        for twentieth in range(20):
            info = read(memory.fd, len(data) * twentieth // 20)
            assert is_sound(info)
            assert {block.text for block in info.raw} <= {block.text for block in whole.raw}, "half a text is a wrong one"
            assert info.format in (whole.format, "", "mkv", "ogg")


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(files())), st.data())
def test_no_mutation_raises(kind: str, data: st.DataObject) -> None:
    broken = bytearray(files()[kind])
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.one_of(st.integers(0, min(200, len(broken) - 1)), st.integers(0, len(broken) - 1)))
        new = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\x80\0\0\0", b"\x7f\xff\xff\xff"])
            )
        )
        broken[at : at + len(new)] = new
    assert is_sound(looked_into(bytes(broken[: data.draw(st.integers(0, len(broken)))])))


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([b"", *(data[:24] for data in files().values())]), st.binary(max_size=400))
def test_any_bytes_after_any_beginning_get_an_answer(magic: bytes, rest: bytes) -> None:
    assert is_sound(looked_into(magic + rest))


PNG = b"\x89PNG\r\n\x1a\n"
LONG = {
    "png of empty chunks": PNG + struct.pack(">I4sI", 0, b"teXt", 0) * MANY,
    "png of empty texts": PNG + struct.pack(">I4sI", 0, b"tEXt", 0) * MANY,
    "png of small texts": PNG + struct.pack(">I4s4sI", 4, b"tEXt", b"k\0vv", 0) * MANY,
    "png of broken texts": PNG + struct.pack(">I4s4sI", 4, b"zTXt", b"k\0vv", 0) * MANY,
    "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * MANY,
    "jpeg of small comments": b"\xff\xd8" + b"\xff\xfe\0\3x" * MANY,
    "gif of empty comments": b"GIF89a" + bytes(7) + b"\x21\xfe\0" * MANY,
    "gif of tiny sub-blocks": b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\x01x" * (10 * MANY),
    "webp of empty chunks": b"RIFF" + struct.pack("<I", 4 + 8 * MANY) + b"WEBP" + b"JUNK\0\0\0\0" * MANY,
    "webp of EXIF": webp(*[riff_chunk(b"EXIF", EXIF)] * 20_000),
    "avif of nothing": box(b"ftyp", b"avif", bytes(4)) + b"\0\0\0\x08free" * MANY,
    "avif of tables": box(b"ftyp", b"avif", bytes(4)) + box(b"meta", bytes(4), box(b"iprp", *[box(b"ipma", bytes(9))] * 20_000)),
    "avif of countless items": box(b"ftyp", b"avif", bytes(4))
    + box(
        b"meta",
        bytes(4),
        box(b"iinf", bytes(6), box(b"infe", b"\2\0\0\0\0\1\0\0Exif\0")),
        box(b"iloc", b"\2\0\0\0\0\0" + b"\xff" * 99_999),
    ),
    "avif of one item over and over": box(b"ftyp", b"avif", bytes(4))
    + box(
        b"meta",
        bytes(4),
        box(b"iinf", bytes(6), box(b"infe", b"\2\0\0\0\0\1\0\0Exif\0")),
        box(b"iloc", b"\0\0\0\0\x44\0\x80\0" + (struct.pack(">HHH", 1, 0, 1) + struct.pack(">II", 0, 600_000)) * 32_768),
    ),
    "svg that never ends": b"<svg" + b" <metadata " * 100_000,
    "svg of CDATA": b"<svg><metadata>" + b"<![CDATA[" * 100_000 + b"]]>" * 100_000,
    "glb of brackets": glb(b'{"asset": {"extras": {"a": ' + b"[" * 1_000_000),
}


@pytest.mark.parametrize("what", sorted(LONG))
def test_a_file_that_goes_on_and_on_ends(what: str) -> None:
    info = looked_into(LONG[what])
    assert is_sound(info)
    assert info.kind in (MediaKind.IMAGE, MediaKind.MESH)


def bomb(size_bytes: int) -> bytes:
    return chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"A" * size_bytes, 9))


def peak_bytes(data: bytes) -> int:
    with Memory(data) as memory:
        tracemalloc.start()
        info = read(memory.fd, memory.size_bytes)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert is_sound(info)
    return peak


def test_a_bomb_takes_no_more_than_the_largest_text() -> None:
    data = png(bomb(256 << 20), text_chunk("Software", "still read"))
    assert peak_bytes(data) < 4 * MOST_TEXT_BYTES
    info = looked_into(data)
    assert [block.text for block in info.raw] == ["still read"]
    assert info.problems == (f"png/zTXt/parameters: it inflates to more than {MOST_TEXT_BYTES} bytes",)


def test_many_bombs_end_soon() -> None:
    data = png(*[bomb(16 << 20)] * 100)
    assert peak_bytes(data) < 4 * MOST_TEXT_BYTES
    assert looked_into(data).problems[-1].startswith("png: its texts take more than")


def test_many_large_texts_stay_below_what_an_answer_holds() -> None:
    info = looked_into(png(*[text_chunk(f"k{number}", "x" * (5 << 20)) for number in range(4)]))
    assert [block.key for block in info.raw] == ["k0", "k1"]
    assert info.problems[0] == "png/tEXt/k2: 5242880 bytes are too many, it is left out"


def test_a_workflow_of_megabytes_is_no_bomb() -> None:
    text = '{"nodes": [' + ", ".join(f'{{"id": {number}, "type": "Note"}}' for number in range(150_000)) + "]}"
    assert [block.text for block in looked_into(png(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(text.encode())))).raw] == [text]


def test_a_text_that_is_as_large_as_may_be_and_one_byte_more() -> None:
    fits = looked_into(png(text_chunk("k", "x" * MOST_TEXT_BYTES)))
    assert len(fits.raw[0].text) == MOST_TEXT_BYTES
    assert looked_into(png(text_chunk("k", "x" * (MOST_TEXT_BYTES + 1)))).raw == ()
    assert looked_into(png(text_chunk("k", "é" * (MOST_TEXT_BYTES // 2 + 1)))).raw == (), "it counts as UTF-8"


def test_dimensions_are_told_and_cost_nothing() -> None:
    info = looked_into(png(width=60_000, height=60_000))
    assert (info.width, info.height) == (60_000, 60_000)
    assert looked_into(png(width=0xFFFF_FFFF, height=0)).width is None


def test_a_name_of_megabytes_is_cut() -> None:
    broken = chunk(b"zTXt", b"k" * 1_000_000 + b"\0\0no zlib")
    info = looked_into(png(text_chunk("k" * 1_000_000, "text"), broken))
    assert is_sound(info)
    assert [block.text for block in info.raw] == ["text"]
    assert info.problems[0].endswith("kk: its compression is broken")


@pytest.mark.parametrize("kind", sorted(files()))
def test_a_sparse_file_of_a_terabyte_costs_no_terabyte(kind: str) -> None:
    with Memory(files()[kind][:200]) as memory:
        os.ftruncate(memory.fd, 1 << 40)
        assert is_sound(read(memory.fd, 1 << 40))


def test_a_disk_in_trouble_is_told() -> None:
    fd = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="directory"):
            read(fd, 100)
    finally:
        os.close(fd)
