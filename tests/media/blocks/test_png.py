"""PNG: every place a text can be in, and what must not be taken for one."""

from __future__ import annotations

import struct
import zlib

import pytest

from forged.model.media import MediaKind
from tests.media.blocks.building import ASCII, chunk, comment_of, looked_into, png, text_chunk, texts, tiff

PARAMETERS = "a cat\nSteps: 9"


def compressed(key: str, data: bytes) -> bytes:
    return chunk(b"zTXt", key.encode() + b"\0\0" + zlib.compress(data))


def international(key: str, text: str, is_compressed: bool = False, language: bytes = b"en") -> bytes:
    data = zlib.compress(text.encode()) if is_compressed else text.encode()
    return chunk(b"iTXt", key.encode() + b"\0" + bytes([is_compressed, 0]) + language + b"\0" + "Schlüssel".encode() + b"\0" + data)


@pytest.mark.parametrize(
    ("block", "place", "text"),
    [
        (text_chunk("parameters", PARAMETERS), "png/tEXt/parameters", PARAMETERS),
        (text_chunk("parameters", "猫".encode()), "png/tEXt/parameters", "猫"),
        (text_chunk("parameters", "café"), "png/tEXt/parameters", "café"),
        (text_chunk("parameters", b"NULs\0\0"), "png/tEXt/parameters", "NULs"),
        (compressed("parameters", PARAMETERS.encode()), "png/zTXt/parameters", PARAMETERS),
        (international("parameters", "猫"), "png/iTXt/parameters", "猫"),
        (international("parameters", "猫", is_compressed=True), "png/iTXt/parameters", "猫"),
        (international("XML:com.adobe.xmp", "<x:xmpmeta/>"), "png/iTXt/XML:com.adobe.xmp", "<x:xmpmeta/>"),
        (chunk(b"comf", b'prompt\0{"1": NaN}'), "png/comf/prompt", '{"1": NaN}'),
        (chunk(b"eXIf", comment_of(b"ASCII\0\0\0a cat")), "exif/UserComment", "a cat"),
        (chunk(b"eXIf", b"Exif\0\0" + tiff([(0x010F, ASCII, b"workflow:{}\0")])), "exif/Make", "workflow:{}"),
        (
            compressed(
                "Raw profile type exif", b"\nexif\n      24\n" + b"Exif\0\0".hex().encode() + comment_of(b"a cat").hex().encode()
            ),
            "exif/UserComment",
            "a cat",
        ),
    ],
)
@pytest.mark.parametrize("is_after", [False, True])
def test_a_text_before_and_after_the_picture(block: bytes, place: str, text: str, is_after: bool) -> None:
    data = png(after=[block]) if is_after else png(block)
    assert texts(data) == [(place, text)]
    assert looked_into(data).problems == ()


def test_what_a_header_says() -> None:
    info = looked_into(png(width=1024, height=768))
    assert (info.kind, info.format, info.width, info.height, info.frames, info.duration_s) == (
        MediaKind.IMAGE,
        "png",
        1024,
        768,
        None,
        None,
    )


def test_frames_and_their_time() -> None:
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 8, 0, 0))
    hundredths = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 25, 0, 0, 0))
    info = looked_into(png(chunk(b"acTL", struct.pack(">II", 3, 0)), control, after=[control, hundredths]))
    assert (info.kind, info.frames, info.duration_s, info.fps) == (MediaKind.IMAGE, 3, 0.5, 6.0)


def test_two_texts_of_one_name_are_two() -> None:
    assert texts(png(text_chunk("parameters", "one"), text_chunk("parameters", "two"))) == [
        ("png/tEXt/parameters", "one"),
        ("png/tEXt/parameters", "two"),
    ]


def test_a_wrong_checksum_spoils_no_text() -> None:
    assert texts(png(text_chunk("parameters", "a cat")[:-4] + b"oops")) == [("png/tEXt/parameters", "a cat")]


def test_what_follows_the_end_is_not_the_pictures() -> None:
    assert texts(png() + text_chunk("parameters", "a cat")) == []


def test_a_text_that_is_cut_is_a_problem_and_no_text() -> None:
    whole = png(text_chunk("workflow", "{}"), text_chunk("prompt", "x" * 100))
    info = looked_into(whole[: whole.index(b"xxx") + 50])
    assert [block.text for block in info.raw] == ["{}"]
    assert info.problems == ("png/tEXt: the file ends within it",)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (chunk(b"zTXt", b"parameters\0\0no zlib"), "png/zTXt/parameters: its compression is broken"),
        (chunk(b"zTXt", b"parameters"), "png/zTXt/parameters: its compressed text has no end"),
        (chunk(b"iTXt", b"parameters\0\0\0en"), "png/iTXt/parameters: it has no text"),
        (chunk(b"eXIf", b"nothing of the kind"), "exif: it does not begin as EXIF does"),
        (
            text_chunk("Raw profile type exif", "\nexif\n 4\nxyz"),
            "png/tEXt/Raw profile type exif: it is no EXIF in hexadecimal digits",
        ),
    ],
)
def test_what_cannot_be_read_is_said(block: bytes, problem: str) -> None:
    info = looked_into(png(block, text_chunk("Software", "good")))
    assert [block.text for block in info.raw] == ["good"]
    assert info.problems == (problem,)


def test_compressed_text_without_its_end_is_told_and_kept() -> None:
    info = looked_into(png(chunk(b"zTXt", b"parameters\0\0" + zlib.compress(PARAMETERS.encode())[:-2])))
    assert [block.text for block in info.raw] == [PARAMETERS]
    assert info.problems == ("png/zTXt/parameters: its compressed text has no end",)
