"""The client's half of the wire: nothing but whole, bounded, known frames comes out of it, whatever goes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.errors import SourceBroken
from forged.sources.agent import wire
from forged.sources.agent.wire import MAGIC, MAX_NOISE_BYTES, Decoder, Frame, Kind, packed
from tests.fuzz.wire import PARSERS, merged, parse

ANSWERS = [kind for kind in Kind if kind >= 0x80]


def decoder() -> Decoder:
    """One that has heard the agent begin."""
    fresh = Decoder()
    assert fresh.feed(MAGIC) == []
    return fresh


frames = st.tuples(st.sampled_from(ANSWERS), st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=300))


@given(st.lists(frames, max_size=8), st.lists(st.integers(1, 400)))
def test_frames_come_out_as_they_went_in_however_they_are_cut(sent: list[tuple[Kind, int, bytes]], cuts: list[int]) -> None:
    stream, out, ear = MAGIC + b"".join(packed(*frame) for frame in sent), [], Decoder()
    while stream:
        size = cuts.pop() if cuts else 100
        out += ear.feed(stream[:size])
        stream = stream[size:]
    assert merged(out) == merged(sent)


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_garbage_raises_source_broken_or_yields_frames_and_nothing_else(garbage: bytes, cut: int) -> None:
    ear = decoder()
    try:
        for start in range(0, len(garbage), cut):
            ear.feed(garbage[start : start + cut])
    except SourceBroken:
        pass
    assert len(ear._held) <= 160_000


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=600))
def test_garbage_payloads_raise_source_broken_or_are_read_as_they_were_said(kind: int, garbage: bytes) -> None:
    parse(kind, garbage)


def test_data_is_handed_on_without_being_copied_or_collected() -> None:
    ear, data = decoder(), bytes(100_000)
    head = packed(Kind.DATA, 5, bytes(250_000))[:9]
    assert ear.feed(head) == []
    assert ear.feed(data)[0].payload is data
    assert ear.feed(data)[0].payload is data
    assert [(f.call, len(f.payload)) for f in ear.feed(data[:50_000] + head)] == [(5, 50_000)]


def test_what_a_login_script_prints_before_the_agent_speaks_is_skipped() -> None:
    ear = Decoder()
    assert ear.feed(b"Welcome to the box!\n\0forged" + MAGIC[:5]) == []
    assert ear.feed(MAGIC[5:] + packed(Kind.TIME, 1, bytes(8))) == [Frame(Kind.TIME, 1, bytes(8))]


def test_a_login_script_that_never_ends_is_no_agent() -> None:
    ear = Decoder()
    with pytest.raises(SourceBroken):
        for _ in range(MAX_NOISE_BYTES // 1000 + 2):
            ear.feed(b"x" * 1000)


@pytest.mark.parametrize("kind", [0x00, 0x01, Kind.GRANT, max(Kind) + 1, 0xFF])
def test_a_frame_that_no_agent_sends_is_refused_at_its_header(kind: int) -> None:
    with pytest.raises(SourceBroken):
        decoder().feed(bytes([kind]) + bytes(8))


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_frame_that_is_too_long_is_refused_at_its_header(kind: Kind) -> None:
    with pytest.raises(SourceBroken):
        decoder().feed(bytes([kind]) + bytes(4) + b"\xff\xff\xff\xff")


def test_an_empty_data_frame_is_refused() -> None:
    with pytest.raises(SourceBroken):
        decoder().feed(packed(Kind.DATA, 1))


def test_messages_are_harmless_to_a_terminal() -> None:
    assert wire.parse_message(b"\x1b[2Jhello\n\xff") == r"\x1b[2Jhello\n\xff"


def test_an_agent_of_another_version_is_refused() -> None:
    good = wire._GREETING.pack(wire.VERSION + 1, 1, 1, 3, 11, 0)
    with pytest.raises(SourceBroken):
        wire.parse_hello(good)


@pytest.mark.parametrize("facts", [(-1, 0, 0, 0), (0, 0, -1, 0)])
def test_negative_sizes_and_inodes_are_refused(facts: tuple[int, int, int, int]) -> None:
    with pytest.raises(SourceBroken):
        wire.parse_stat(wire._STAT.pack(*facts))
