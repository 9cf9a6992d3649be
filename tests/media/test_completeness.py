"""Whole files are WHOLE, files that are cut anywhere are not, and everything else is let through."""

from __future__ import annotations

import random

import pytest

from forged.media.completeness import inspect
from forged.model.transfer import Wholeness
from tests.media.judging import Memory, verdict
from tests.media.making import film, picture, whole_files

WHOLE, BROKEN, UNKNOWN = Wholeness.WHOLE, Wholeness.BROKEN, Wholeness.UNKNOWN
KINDS = sorted(whole_files())
GROWING = {"wav"}
"""Kinds whose header is put right at the end: bytes behind it say that this has not happened yet."""

BOXES = {"mp4", "mp4 faststart", "mov", "avif", "m4a"}
"""Boxes have no end but the file's own: what is no box after them leaves it open."""

EDGE = 250


def cuts(size_bytes: int) -> list[int]:
    """Every cut near both ends, and some hundreds between."""
    middle = range(EDGE, max(EDGE, size_bytes - EDGE))
    between = random.Random(size_bytes).sample(middle, min(300, len(middle)))
    return sorted({*range(1, min(EDGE, size_bytes)), *between, *range(max(1, size_bytes - EDGE), size_bytes)})


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_whole(kind: str) -> None:
    assert verdict(whole_files()[kind]) is WHOLE


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_anywhere_is_not_whole(kind: str) -> None:
    data = whole_files()[kind]
    with Memory(data) as memory:
        assert [cut for cut in cuts(len(data)) if memory.cut_at(cut) is WHOLE] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_after_its_first_bytes_is_broken(kind: str) -> None:
    data = whole_files()[kind]
    unsure = {len(data)}
    if kind == "mp4 faststart":
        unsure = {data.index(b"free") - 4, data.index(b"mdat") - 4}  # boxes tile: an index without data
    if kind == "avif":
        unsure = {data.index(b"mdat") - 4}
    if kind == "mp3":
        unsure = set(range(data.index(b"Info") + 12))  # before the byte count
    with Memory(data) as memory:
        assert [cut for cut in cuts(len(data)) if cut >= 20 and memory.cut_at(cut) is not BROKEN and cut not in unsure] == []


@pytest.mark.parametrize("kind", KINDS)
def test_first_bytes_at_hand_change_no_verdict(kind: str) -> None:
    data = whole_files()[kind]
    with Memory(data) as memory:
        for cut in random.Random(kind).sample(range(len(data) + 1), 20):
            verdicts = {inspect(memory.fd, cut, data[:known]) for known in (0, 1, 100, cut // 2, cut, len(data))}
            assert verdicts == {memory.cut_at(cut)}


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_file_that_is_at_hand_nothing_is_read(kind: str) -> None:
    data = whole_files()[kind]
    no_descriptor = -1
    assert inspect(no_descriptor, len(data), data) is WHOLE
    assert inspect(no_descriptor, 0, b"") is UNKNOWN
    assert inspect(no_descriptor, 9, b"some text") is UNKNOWN


MORE = {"zero": b"\0", "zeros": b"\0" * 5000, "text": b"more", "tag": b"TAG" + bytes(125)}

BEHIND_THE_END = [(kind, more) for kind in KINDS if kind not in GROWING for more in (MORE if kind != "flac" else ("tag",))]
"""Of growing formats, and of FLAC but for a tag, the end is known by being last."""


@pytest.mark.parametrize(("kind", "more"), BEHIND_THE_END)
def test_bytes_after_the_end_are_no_harm(kind: str, more: str) -> None:
    assert verdict(whole_files()[kind] + MORE[more]) is (UNKNOWN if kind in BOXES else WHOLE)


def test_after_boxes_a_further_box_has_to_end() -> None:
    for kind in BOXES:
        assert verdict(whole_files()[kind] + b"\0\0\0\x09free") is BROKEN
        assert verdict(whole_files()[kind] + b"\0\0\0\x09free\0") is WHOLE


@pytest.mark.parametrize(
    "kind", ["png", "apng", "jpeg", "jpeg with preview", "gif", "gif animated", "flac", "webp animated", "mp4"]
)
def test_room_that_was_reserved_and_half_filled_is_broken(kind: str) -> None:
    data = whole_files()[kind]
    assert verdict(data[: len(data) // 2].ljust(len(data), b"\0")) is BROKEN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0" * 70_000,
        b"a",
        b"RIFFRAFF: a play in three acts",
        b"G",
        b"GIF",
        b"Ogg",
        b"ID3 tags are bytes",
        b"glTF is a format",
        b"\xff\xfet\0e\0x\0t\0",
        b"\xef\xbb\xbftext",
        b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        b'{"sui_image_params": {"prompt": "a',
        b"2024-05-01 12:00:00 INFO started\n" * 5,
        b"\x89",
        b"MZ\x90\0",
    ],
)
def test_what_is_no_container_of_ours_is_unknown(data: bytes) -> None:
    assert verdict(data) is UNKNOWN


@pytest.mark.parametrize(
    "data", [b"\x89PNG", b"\x89P", b"\xff\xd8", b"\x1a\x45", b"RIFF", b"RIFF\0\1\0\0WE", b"GIF8", b"OggS", b"fLaC", b"glTF\2"]
)
def test_a_file_that_is_cut_within_its_first_bytes_is_broken(data: bytes) -> None:
    assert verdict(data) is BROKEN


def test_a_wrong_checksum_or_garbage_in_the_middle_is_not_our_business() -> None:
    png, jpeg = bytearray(whole_files()["png"]), bytearray(whole_files()["jpeg"])
    png[60] ^= 0xFF
    jpeg[700] ^= 0x01
    assert (verdict(bytes(png)), verdict(bytes(jpeg))) == (WHOLE, WHOLE)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "ogg opus"])
def test_where_the_way_to_the_end_is_lost_the_end_itself_decides(kind: str) -> None:
    data = bytearray(whole_files()[kind])
    start = {"png": 8, "jpeg": 20, "gif": 13 + 768, "ogg opus": 0}[kind]
    second_page = data.index(b"OggS", 4) if kind == "ogg opus" else start
    data[second_page : second_page + 8] = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    assert verdict(bytes(data)) is UNKNOWN
    assert verdict(bytes(data[:-1])) is BROKEN


def test_a_second_picture_in_a_jpeg_has_to_end_too() -> None:
    one = picture("JPEG")
    assert verdict(one + one) is WHOLE
    assert verdict(one + one[:-1]) is BROKEN
    assert verdict(one + one[:40]) is BROKEN


def test_an_ogg_of_two_streams_ends_with_both() -> None:
    data = whole_files()["ogg opus"]
    other = bytearray(data)
    at = -1
    while (at := other.find(b"OggS", at + 1)) >= 0:
        other[at + 14 : at + 18] = b"twin"
    last = data.rindex(b"OggS")
    assert verdict(data[:last] + bytes(other) + data[last:]) is WHOLE
    assert verdict(data[:last] + bytes(other)) is BROKEN


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_wave_whose_size_is_not_set_is_unknown(size: bytes) -> None:
    data = whole_files()["wav"]
    assert verdict(data[:4] + size + data[8:]) is UNKNOWN
    assert verdict(data[:40] + size + data[44:]) is UNKNOWN


def test_a_wave_that_grows_behind_an_early_header_is_unknown() -> None:
    data = whole_files()["wav"]
    early = data[:4] + b"\x24\0\0\0" + data[8:40] + b"\0\0\0\0"
    assert verdict(early) is UNKNOWN
    assert verdict(early + data[44:]) is UNKNOWN


def test_fragments_without_a_last_word_are_unknown() -> None:
    fragments = bytes(film("mp4", "mpeg4", {"movflags": "frag_keyframe+empty_moov"}).written)
    assert verdict(fragments) is WHOLE
    assert verdict(fragments[: fragments.rindex(b"mfra") - 4]) is UNKNOWN


def test_a_flac_without_a_number_of_samples_is_unknown() -> None:
    data = bytearray(whole_files()["flac"])
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert verdict(bytes(data)) is UNKNOWN


def test_a_moov_whose_inside_is_still_what_lay_there_before_is_unknown() -> None:
    data = whole_files()["mp4 faststart"]
    second = data.index(b"trak") - 4
    stale = data[:second] + b"stale data of a film" + data[second + 20 :]
    assert verdict(stale) is UNKNOWN
