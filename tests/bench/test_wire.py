"""What the link of the bench does to packets, in a time of the tests' own, between two sockets instead of two devices."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.wire import CARD_BYTES, Lane, Train, checksum

MS = 1_000_000
CARD = bytes(CARD_BYTES)
KILOBYTE = CARD + bytes(1000)
ACK, FIN_PSH_ACK = 0x10, 0x19


@contextmanager
def lane(*, queue_ms: float = 100, loss: float = 0.0) -> Iterator[tuple[Lane, socket.socket, socket.socket]]:
    """One that takes a millisecond for 1,000 bytes and delays by 25, with the sockets before and behind it."""
    before, source = socket.socketpair(type=socket.SOCK_SEQPACKET)
    sink, behind = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with before, source, sink, behind:
        for end in (source, behind):
            end.setblocking(False)
        chance = random.Random(1)
        yield Lane(source.fileno(), sink.fileno(), 25 * MS, 1000, queue_ms * MS, loss, chance), before, behind


def arrived(behind: socket.socket) -> int:
    """How many packets have come out since the last call."""
    count = 0
    try:
        while behind.recv(99_999):
            count += 1
    except BlockingIOError:
        return count
    raise AssertionError("an empty packet")


def test_a_packet_takes_its_time_on_the_line_and_then_the_delay() -> None:
    with lane() as (it, before, behind):
        before.send(KILOBYTE)
        it.take(10 * MS)
        it.give(36 * MS - 1)
        assert arrived(behind) == 0
        it.give(36 * MS)
        assert arrived(behind) == 1


def test_a_packet_waits_for_those_before_it_and_for_nothing_after_a_pause() -> None:
    with lane() as (it, before, behind):
        before.send(KILOBYTE)
        before.send(KILOBYTE)
        it.take(0)
        before.send(KILOBYTE)
        it.take(100 * MS)
        counts = []
        for at_ms in (26, 27, 126):
            it.give(at_ms * MS)
            counts.append(arrived(behind))
        assert counts == [1, 1, 1]


def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    with lane(queue_ms=2) as (it, before, behind):
        for _ in range(10):
            before.send(KILOBYTE)
        it.take(0)
        it.give(1000 * MS)
        assert arrived(behind) == 3, "one on the line and two that wait"
        assert it.given_bytes == 10_000


def test_packets_are_lost_at_their_rate_and_use_the_line_all_the_same() -> None:
    with lane(queue_ms=1e9, loss=0.01) as (it, _, _):
        for _ in range(100_000):
            it.admit(KILOBYTE, 0)
        assert len(it.under_way) == pytest.approx(99_000, abs=150)
        assert it.idle_at_ns == 100_000 * MS


def train(segments: int, segment_bytes: int, short_bytes: int, sequence: int = 1, options_bytes: int = 12) -> bytes:
    """As a kernel hands it over: the last segment is short by some bytes."""
    payload = random.Random(7).randbytes(segments * segment_bytes - short_bytes)
    tcp_bytes = 20 + options_bytes
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, (20 + tcp_bytes + len(payload)) % 65536, 1, 0x4000, 64, 6, 0, b"near", b"far.")
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    tcp = struct.pack("!HHIIBBHHH", 1, 2, sequence, 3, tcp_bytes // 4 << 4, FIN_PSH_ACK, 4, 5, 6) + bytes(options_bytes)
    return struct.pack("=BBHHHH", 1, 1, 20 + tcp_bytes, segment_bytes, 20, 16) + ip + tcp + payload


def test_a_train_takes_the_time_of_its_packets_with_a_header_each() -> None:
    with lane() as (it, before, _):
        before.send(train(3, 1000, 400))
        it.take(0)
        assert it.given_bytes == 2600 + 3 * 52
        assert it.idle_at_ns == (2600 + 3 * 52) * 1000


def test_of_a_train_single_segments_are_lost() -> None:
    with lane(queue_ms=1e9, loss=0.01) as (it, _, _):
        for _ in range(10_000):
            it.admit(train(10, 100, 0, options_bytes=0), 0)
        survived_bytes = sum(len(Train.parse(packet).payload) for _, packet in it.under_way)
        assert survived_bytes == pytest.approx(9_900_000, abs=15_000)


@given(st.data(), st.integers(2, 12), st.integers(1, 500), st.integers(0, 2**32 - 1), st.sampled_from([0, 12]))
def test_what_is_left_of_a_train_is_all_but_the_lost_segments(
    data: st.DataObject, segments: int, segment_bytes: int, sequence: int, options_bytes: int
) -> None:
    short_bytes = data.draw(st.integers(0, segment_bytes - 1))
    lost = data.draw(st.sets(st.integers(0, segments - 1)))
    whole = Train.parse(train(segments, segment_bytes, short_bytes, sequence, options_bytes))
    found: dict[int, int] = {}
    for packet in whole.without(lost):
        part = Train.parse(packet)
        ip, tcp = part.header[:20], part.header[20:]
        start = (struct.unpack_from("!I", tcp, 4)[0] - sequence) % 2**32
        assert checksum(ip) == 0
        assert struct.unpack_from("!H", ip, 2)[0] == len(packet) - CARD_BYTES
        assert part.segment_bytes == (segment_bytes if len(part.payload) > segment_bytes else 0)
        assert (packet[1] == 1) == (len(part.payload) > segment_bytes)
        assert tcp[13] == (FIN_PSH_ACK if start + len(part.payload) == len(whole.payload) else ACK)
        found |= dict(enumerate(part.payload, start))
    kept = {at: byte for at, byte in enumerate(whole.payload) if at // segment_bytes not in lost}
    assert found == kept
