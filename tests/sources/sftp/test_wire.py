"""SFTP as bytes: whatever comes is an answer, a refusal or a reason to end the connection, and nothing else."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.errors import SourceBroken
from forged.model.files import Stat
from forged.sources.sftp import answers as answers
from forged.sources.sftp.clock import box_time_ns
from forged.sources.sftp.wire import MAX_PACKET_BYTES, NANO, Attrs, Code, Decoder, Named, Packet, Refused, Say, string
from tests.sources.sftp.impostor import FILE, FOLDER, attrs, names, packet, status


def names_in(packet: Packet) -> list[Named]:
    """Of a folder, as a listing has them."""
    return answers.names_of(answers.parse_names(packet))


PARSERS: list[Callable[[Packet], object]] = [
    answers.parse_attrs,
    answers.parse_data,
    answers.parse_done,
    answers.parse_handle,
    answers.parse_limits,
    names_in,
    answers.parse_realpath,
    answers.parse_version,
]

SOME = (
    attrs(),
    names(1, (b"a", attrs()), (b"b", attrs(mode=FOLDER)))[9:],
    status(1, 0)[9:],
    string(b"handle"),
    struct.pack(">QQQQ", 1, 2, 3, 4),
    struct.pack(">I", 1) + string(b"/a") + string(b"") + attrs(),
)


def one(data: bytes) -> Packet:
    (found,) = Decoder().feed(data)
    return found


@given(
    st.sampled_from(PARSERS),
    st.sampled_from([*Say, 0, 77]),
    st.one_of(st.binary(max_size=60), st.sampled_from(SOME)),
    st.integers(0, 60),
    st.binary(max_size=4),
)
def test_no_answer_is_an_error_of_ours(parse: Callable[[Packet], object], kind: int, body: bytes, cut: int, tail: bytes) -> None:
    for said in (body, body[:cut] + tail, body + tail):
        try:
            parse(Packet(kind, 1, memoryview(said)))
        except (SourceBroken, Refused):
            pass


@given(st.lists(st.binary(max_size=50), max_size=5), st.lists(st.integers(1, 40), max_size=20))
def test_packets_are_put_together_however_they_are_cut(bodies: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(packet(Say.DATA, number, body) for number, body in enumerate(bodies))
    decoder, found, place = Decoder(), list[tuple[int, bytes]](), 0
    for cut in [*cuts, len(whole)]:
        found += [(one.number, bytes(one.body)) for one in decoder.feed(whole[place : place + cut])]
        place += cut
    assert found == list(enumerate(bodies))
    assert decoder.rest == b""


@pytest.mark.parametrize("length", [0, 4, MAX_PACKET_BYTES + 1, 0xFFFFFFFF])
def test_a_packet_of_impossible_length_is_noticed_before_it_has_come(length: int) -> None:
    with pytest.raises(SourceBroken):
        list(Decoder().feed(struct.pack(">I", length)))


def test_only_what_is_told_is_known_of_a_file() -> None:
    everything = struct.pack(">IQIIIIII", 1 | 2 | 4 | 8 | 0x80000000, 5, 1, 2, FILE, 6, 7, 1) + string(b"a") + string(b"b")
    assert answers.parse_attrs(one(packet(Say.ATTRS, 1, everything))) == Attrs(5, FILE, 7)
    nothing = answers.parse_attrs(one(packet(Say.ATTRS, 1, struct.pack(">I", 0))))
    assert nothing == Attrs(None, None, None)
    assert not nothing.whole
    assert Attrs(5, FILE, 7).stat == Stat(5, 7 * NANO)
    with pytest.raises(SourceBroken):
        _ = nothing.stat


def test_a_status_may_come_without_words() -> None:
    """Some servers of version 2 and 3 send the code alone."""
    with pytest.raises(Refused) as refused:
        answers.parse_done(one(packet(Say.STATUS, 1, struct.pack(">I", 3))))
    assert (refused.value.code, str(refused.value)) == (Code.PERMISSION_DENIED, "Permission denied")
    with pytest.raises(Refused) as unknown:
        answers.parse_done(one(status(1, 4_000, b"what\x1bever")))
    assert (unknown.value.code, str(unknown.value)) == (Code.FAILURE, "what\\x1bever")


def test_dots_are_no_names_of_a_folder() -> None:
    found = names_in(one(names(1, (b".", attrs()), (b"..", attrs()), (b"...", attrs()))))
    assert [named.name for named in found] == [b"..."]


# --- the clock --------------------------------------------------------------------------------------------------------------


STAT = b"cpu  1 2 3\nintr 4 5\nctxt 6\nbtime 1700000000\nprocesses 7\n"


def test_the_time_at_a_box_is_late_rather_than_early() -> None:
    assert box_time_ns(STAT, b"12345.67 99.00\n") == (1_700_000_000 + 12_345 - 1) * NANO + 670_000_000


@pytest.mark.parametrize(
    ("stat", "uptime"),
    [
        (b"", b"1.00 2.00"),
        (STAT, b""),
        (STAT, b"-1.00 2"),
        (STAT, b"12345 99\n"),
        (b"xbtime 17\n", b"1.00 2.00"),
        (b"btime 99999999999999\n", b"1.00 2.00"),
        (b"btime -5\n", b"1.00 2.00"),
    ],
)
def test_what_is_no_time_is_none(stat: bytes, uptime: bytes) -> None:
    assert box_time_ns(stat, uptime) is None
