"""EXIF and TIFF: texts wherever generators put them, and lists that lead astray."""

from __future__ import annotations

import struct

import pytest

from forged.media.blocks import exif
from forged.media.blocks.findings import Enough, Findings
from forged.model.media import MediaInfo, MediaKind
from tests.media.blocks.building import ASCII, LONG, SHORT, UNDEFINED, comment_of, looked_into, tiff

BYTE, UTF8 = 1, 129


def read(data: bytes) -> MediaInfo:
    findings = Findings(MediaKind.IMAGE, "webp")
    try:
        exif.read_block(data, findings)
    except Enough as e:
        findings.problem(str(e))
    return findings.info()


def texts(data: bytes) -> list[tuple[str, str]]:
    return [(block.place, block.text) for block in read(data).raw]


@pytest.mark.parametrize("order", [">", "<"])
def test_texts_of_both_lists_in_both_byte_orders(order: str) -> None:
    data = tiff(
        [(0x010D, ASCII, b"NovelAI generated image\0"), (0x010E, ASCII, "猫".encode() + b"\0"), (0x0112, SHORT, b"\0\1")],
        [(0x9286, UNDEFINED, b"UNICODE\0" + "a cat".encode("utf-16-be")), (0xA434, ASCII, b"50 mm\0")],
        order,
    )
    assert texts(data) == [
        ("exif/DocumentName", "NovelAI generated image"),
        ("exif/ImageDescription", "猫"),
        ("exif/UserComment", "a cat"),
        ("exif/LensModel", "50 mm"),
    ]


@pytest.mark.parametrize(
    ("tag", "kind", "value", "place", "text"),
    [
        (0x010F, ASCII, b"workflow:{}\0", "exif/Make", "workflow:{}"),
        (0x0110, ASCII, b"prompt:{}\0", "exif/Model", "prompt:{}"),
        (0x010C, ASCII, b"extra:{}\0", "exif/0x010C", "extra:{}"),
        (0x0131, ASCII, b"abc", "exif/Software", "abc"),
        (0x010E, ASCII, b"\0\0\0\0four NULs first\0", "exif/ImageDescription", "four NULs first"),
        (0x010E, UTF8, "猫".encode(), "exif/ImageDescription", "猫"),
        (0x010E, BYTE, b"bytes", "exif/ImageDescription", "bytes"),
        (0x9286, ASCII, b'{"prompt": 1}\0', "exif/UserComment", '{"prompt": 1}'),
        (0x927C, ASCII, b"fooocus\0", "exif/MakerNote", "fooocus"),
        (0x927C, UNDEFINED, b"a1111", "exif/MakerNote", "a1111"),
        (0x9C9C, BYTE, "a cat\0".encode("utf-16-le"), "exif/XPComment", "a cat"),
        (0x02BC, BYTE, b"<x:xmpmeta/>", "webp/xmp", "<x:xmpmeta/>"),
    ],
)
def test_a_text_in_the_first_list(tag: int, kind: int, value: bytes, place: str, text: str) -> None:
    assert texts(tiff([(tag, kind, value)])) == [(place, text)]


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [(0x927C, UNDEFINED, b"Nikon\0\2\x10\0\0MM\0*"), (0x0112, SHORT, b"\0\1"), (0x010E, ASCII, b"\0"), (0x8769, ASCII, b"abcdefg")],
)
def test_what_is_no_text(tag: int, kind: int, value: bytes) -> None:
    found = texts(tiff([(tag, kind, value)]))
    assert found == ([("exif/0x8769", "abcdefg")] if tag == 0x8769 else [])


def test_a_list_that_names_itself_is_read_twice_and_no_more() -> None:
    data = bytearray(tiff([(0x010F, ASCII, b"a text\0")], [(0x9286, UNDEFINED, b"a cat")]))
    at = data.index(b"\x87\x69\0\4\0\0\0\1") + 8
    data[at : at + 4] = struct.pack(">I", 8)
    assert texts(bytes(data)) == [("exif/Make", "a text")] * 2


def test_of_two_exif_lists_the_first_is_read() -> None:
    """Five hundred of five hundred tags each would be a quarter of a million."""
    once = tiff([], [(0x9286, UNDEFINED, b"a cat")])
    pointer = once[10:22]
    twice = b"MM\0*\0\0\0\x08\0\2" + pointer[:8] + struct.pack(">I", 38) + pointer[:8] + struct.pack(">I", 38) + bytes(4)
    inner = b"\0\1" + struct.pack(">HHI4s", 0x9286, UNDEFINED, 3, b"cat\0") + bytes(4)
    assert texts(twice + inner) == [("exif/UserComment", "cat")]


def test_a_value_beyond_the_end_is_a_problem() -> None:
    info = read(tiff([(0x010E, ASCII, b"a long text")], [(0x9286, UNDEFINED, b"a cat")])[:-2])
    assert [block.text for block in info.raw] == ["a long text"]
    assert info.problems == ("exif/UserComment: it reaches beyond the end",)


def test_a_list_that_promises_more_than_there_is() -> None:
    assert read(b"MM\0*\0\0\0\x08\xff\xff" + struct.pack(">HHI4s", 0x0131, 2, 3, b"abc\0")).raw[0].text == "abc"
    assert read(b"MM\0*\xff\xff\xff\xff").raw == ()


def test_a_thousand_tags_on_the_same_megabytes_end_soon() -> None:
    """Each is admissible; together they would take gigabytes."""
    big = b"a" * (7 << 20)
    count = 500
    entries = b"".join(struct.pack(">HHII", 0x0200 + number, 2, len(big), 10 + 12 * count) for number in range(count))
    info = read(b"MM\0*\0\0\0\x08" + struct.pack(">H", count) + entries + big)
    assert len(info.raw) == 1
    assert info.problems[-1].startswith("its texts take more than")
    assert len(info.problems) < 12


def test_a_tag_that_says_four_gigabytes_costs_nothing() -> None:
    data = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 0x9286, 7, 0xFFFF_FFFF, 8)
    assert read(data).problems == ("exif/UserComment: 4294967295 bytes are too many for a text",)


@pytest.mark.parametrize("order", [">", "<"])
def test_a_tiff_file(order: str) -> None:
    data = tiff(
        [(0x0100, LONG, struct.pack(order + "I", 640)), (0x0101, SHORT, struct.pack(order + "H", 480)), (0x0131, ASCII, b"SD\0")],
        (),
        order,
    )
    info = looked_into(data)
    assert (info.kind, info.format, info.width, info.height) == (MediaKind.IMAGE, "tiff", 640, 480)
    assert [(block.place, block.text) for block in info.raw] == [("exif/Software", "SD")]


def test_no_exif_is_said_to_be_none() -> None:
    assert read(b"").problems == ("exif: it does not begin as EXIF does",)
    assert read(comment_of(b"a cat")).problems == ()
