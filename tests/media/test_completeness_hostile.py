"""Hostile bytes: an answer in bounded time and memory, never an exception."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.media.completeness import inspect
from forged.media.containers.reader import MAX_READ_BYTES, MAX_STEPS, OutOfSteps, Reader
from forged.model.transfer import Wholeness
from tests.media.judging import Memory, verdict
from tests.media.making import whole_files

PNG = b"\x89PNG\r\n\x1a\n"
MANY = MAX_STEPS + 10
LONG = {
    "png of empty chunks": PNG + struct.pack(">I4sI", 0, b"teXt", 0) * MANY,
    "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * MANY,
    "jpeg of small segments": b"\xff\xd8" + b"\xff\xe1\0\2" * MANY,
    "jpegs in a row": b"\xff\xd8\xff\xda\0\2\xff\xd9" * MANY,
    "gif of empty extensions": b"GIF89a" + bytes(7) + b"\x21\xfe\0" * MANY,
    "gif of tiny sub-blocks": b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\x01x" * (10 * MANY),
    "riff of empty chunks": b"RIFF" + struct.pack("<I", 4 + 8 * MANY) + b"WEBP" + b"JUNK\0\0\0\0" * MANY,
    "boxes of nothing": b"\0\0\0\x08ftyp" + b"\0\0\0\x08free" * MANY,
    "moov of nothing": b"\0\0\0\x08ftyp" + struct.pack(">I4s", 8 + 8 * MANY, b"moov") + b"\0\0\0\x08free" * MANY,
    "ogg of empty pages": (b"OggS\0\0" + bytes(21)) * MANY,
}


@pytest.mark.parametrize("what", sorted(LONG))
def test_a_file_of_endless_steps_is_unknown(what: str) -> None:
    assert verdict(LONG[what]) is Wholeness.UNKNOWN


def test_an_ogg_of_countless_streams_is_unknown() -> None:
    pages = (b"OggS\0\2" + bytes(8) + struct.pack("<I", serial) + bytes(9) for serial in range(1000))
    assert verdict(b"".join(pages)) is Wholeness.UNKNOWN


def test_flac_headers_without_a_frame_end_soon() -> None:
    stream_info = b"fLaC\0\0\0\x22" + b"\x10\0\x10\0" + bytes(9) + b"\x0f\xff\xff\xff\xff" + bytes(16)
    assert verdict(stream_info + b"\xff\xf8\xc9\x08\0" * 20_000) is Wholeness.BROKEN


@pytest.mark.parametrize("head", [PNG + b"\x7f\xff\xff\xffIDAT", b"\xff\xd8\xff\xda\0\2", b"GIF89a" + bytes(7) + b"\x21\xfe\x01"])
def test_a_sparse_file_of_a_terabyte_costs_no_terabyte(head: bytes) -> None:
    with Memory(head) as memory:
        os.ftruncate(memory.fd, 1 << 40)
        assert memory.cut_at(1 << 40) in (Wholeness.UNKNOWN, Wholeness.BROKEN)


def test_a_file_that_is_shorter_than_announced_is_not_whole() -> None:
    with Memory(whole_files()["png"][:-4]) as memory:
        assert inspect(memory.fd, memory.size_bytes + 4) is Wholeness.BROKEN


def test_the_position_of_the_descriptor_neither_matters_nor_moves() -> None:
    with Memory(whole_files()["jpeg"]) as memory:
        os.lseek(memory.fd, 7, os.SEEK_SET)
        assert inspect(memory.fd, memory.size_bytes) is Wholeness.WHOLE
        assert os.lseek(memory.fd, 0, os.SEEK_CUR) == 7


def test_a_disk_in_trouble_is_told_and_not_judged() -> None:
    with Memory(PNG) as memory:
        fd = os.dup(memory.fd)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        inspect(fd, 8)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(whole_files())), st.data())
def test_no_mutation_and_no_cut_raises(kind: str, data: st.DataObject) -> None:
    broken = bytearray(whole_files()[kind])
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.one_of(st.integers(0, min(80, len(broken) - 1)), st.integers(0, len(broken) - 1)))
        new = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\x80\0\0\0"])))
        broken[at : at + len(new)] = new
    assert isinstance(verdict(bytes(broken[: data.draw(st.integers(0, len(broken)))])), Wholeness)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(
        [PNG, b"\xff\xd8\xff", b"GIF89a", b"RIFF\x20\0\0\0WEBP", b"\0\0\0\x10ftyp", b"\x1a\x45\xdf\xa3", b"OggS", b"fLaC"]
    )
    | st.sampled_from([b"ID3\3\0\0\0\0\0\0", b"\xff\xfb\x90\0", b"glTF\2\0\0\0", b""]),
    st.binary(max_size=400),
)
def test_any_bytes_after_any_beginning_get_an_answer(magic: bytes, rest: bytes) -> None:
    assert isinstance(verdict(magic + rest), Wholeness)


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=9), st.integers(0, 400))
def test_the_reader_reads_what_is_there_and_nothing_beyond_the_end(data: bytes, reads: list[tuple[int, int]], size: int) -> None:
    end = min(size, len(data))
    with Memory(data) as memory:
        reader = Reader(memory.fd, size)
        for offset, count in reads:
            assert reader.at(offset, count) == data[offset : min(end, offset + count)]
        if size <= len(data):
            assert reader.tail(10) == data[max(0, end - 10) : end]


@pytest.mark.parametrize("at", [0, 1, (1 << 20) - 2, (1 << 20) - 1, 1 << 20, (2 << 20) - 2, (2 << 20) - 1, 3 << 20])
def test_find_sees_a_needle_on_the_borders_of_its_blocks(at: int) -> None:
    data = bytes(at) + b"\xff\xd9"
    with Memory(data) as memory:
        found = [Reader(memory.fd, len(data)).find(b"\xff\xd9", start) for start in (0, at // 2, at, at + 1, at + 2)]
    assert found == [at, at, at, None, None]


def test_a_reader_counts_its_steps() -> None:
    with Memory(bytes(100_000)) as memory:
        reader = Reader(memory.fd, memory.size_bytes)
        assert len(reader.at(0, 100_000)) == MAX_READ_BYTES
        with pytest.raises(OutOfSteps):
            reader.spend(MAX_STEPS)
