"""The queue: answers are never lost, notifications lose the oldest, nobody waits to put something in."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from forged.control.sending import NOTES_MOST, NOTES_MOST_BYTES, ROOM_BYTES, Backlog, SendQueue


@dataclass
class Hand:
    """A peer that takes as many bytes as the test allows; None is all."""

    allowed: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    taken: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes, /) -> None:
        self.taken += data

    async def drain(self) -> None:
        await self.allowed.acquire()

    @property
    def lines(self) -> list[bytes]:
        return bytes(self.taken).split(b"\n")[:-1]


def queue_of(backlog: Backlog) -> SendQueue:
    def overflow() -> None:
        queue.close()

    queue = SendQueue(backlog, on_taken=lambda: None, on_overflow=overflow)
    return queue


async def all_of(queue: SendQueue) -> list[bytes]:
    """Lets a quick peer take everything."""
    hand = Hand(asyncio.Semaphore(1_000_000))
    sending = asyncio.create_task(queue.send_to(hand))
    while not queue.is_empty:
        await asyncio.sleep(0)
    sending.cancel()
    return hand.lines


PUTS = st.lists(
    st.tuples(st.sampled_from(["answer", "note", "a", "b"]), st.sampled_from([0, 10, 100_000, NOTES_MOST_BYTES // 2])),
    max_size=40,
)
"""Answers, notifications without a slot, and with one; each with the size of its line."""


@settings(deadline=None)
@given(PUTS)
async def test_answers_all_come_in_order_and_notifications_are_the_newest(puts: list[tuple[str, int]]) -> None:
    backlog = Backlog(most_bytes=1 << 40)
    queue = queue_of(backlog)
    for number, (what, size) in enumerate(puts):
        line = f"{what} {number} ".encode() + b"x" * size
        if what == "answer":
            queue.put_answer(line)
        else:
            queue.put_note(line, None if what == "note" else (what, ""))
        assert backlog.unsent_bytes == queue.unsent_bytes
    got = [line.split(b" ", 2)[:2] for line in await all_of(queue) if not line.startswith(b"{")]
    assert [number for what, number in got if what == b"answer"] == [
        b"%d" % n for n, (what, _) in enumerate(puts) if what == "answer"
    ]
    for what in ("note", "a", "b"):
        numbers = [n for n, (each, _) in enumerate(puts) if each == what]
        came = [int(number) for each, number in got if each == what.encode()]
        assert came == numbers[len(numbers) - len(came) :], "the newest of each, in order"
        assert what == "note" or len(came) <= 1
    assert backlog.unsent_bytes == queue.unsent_bytes == 0
    assert backlog.dropped + len(got) + replaced(puts) >= len(puts)


def replaced(puts: list[tuple[str, int]]) -> int:
    return sum(max(0, [what for what, _ in puts].count(slot) - 1) for slot in "ab")


async def test_notifications_that_wait_are_bounded_in_number_and_bytes() -> None:
    queue = queue_of(Backlog())
    for number in range(5 * NOTES_MOST):
        queue.put_note(b"%d" % number)
    assert queue.unsent_bytes < 6 * NOTES_MOST
    for _ in range(100):
        queue.put_note(b"x" * (NOTES_MOST_BYTES // 3))
    assert queue.unsent_bytes <= NOTES_MOST_BYTES
    queue.put_note(b"x" * (2 * NOTES_MOST_BYTES))
    assert queue.unsent_bytes == 0


async def test_lost_notifications_are_told_before_the_next_one() -> None:
    queue = queue_of(Backlog())
    for number in range(NOTES_MOST + 3):
        queue.put_note(b"%d" % number)
    lines = await all_of(queue)
    assert json.loads(lines[0]) == {"jsonrpc": "2.0", "method": "rpc.dropped", "params": {"count": 3}}
    assert lines[1] == b"3"
    queue.put_note(b"again")
    assert await all_of(queue) == [b"again"]


async def test_a_newer_one_of_the_same_slot_takes_the_place_of_the_older() -> None:
    queue = queue_of(Backlog())
    queue.put_note(b"10 %", "job")
    queue.put_note(b"other")
    queue.put_answer(b"answer")
    queue.put_note(b"20 %", "job")
    queue.put_note(b"done")
    assert await all_of(queue) == [b"20 %", b"other", b"answer", b"done"]


async def test_what_the_peer_has_not_taken_counts_until_it_has() -> None:
    queue, hand = queue_of(Backlog()), Hand()
    sending = asyncio.create_task(queue.send_to(hand))
    queue.put_answer(b"x" * 100)
    await asyncio.sleep(0.001)
    assert hand.lines == [b"x" * 100]
    assert queue.unsent_bytes == 101
    hand.allowed.release()
    await asyncio.sleep(0.001)
    assert queue.is_empty
    sending.cancel()


async def test_there_is_room_again_when_the_peer_has_taken_or_is_gone() -> None:
    for end in ("taken", "gone"):
        queue = queue_of(Backlog())
        queue.put_answer(b"x" * ROOM_BYTES)
        waiting = asyncio.create_task(queue.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        if end == "taken":
            await all_of(queue)
        else:
            queue.close()
        await waiting


async def test_beyond_the_bound_for_all_the_greediest_is_cut_off_alone() -> None:
    backlog = Backlog(most_bytes=1000)
    greedy, modest = queue_of(backlog), queue_of(backlog)
    greedy.put_answer(b"x" * 600)
    modest.put_answer(b"x" * 300)
    modest.put_answer(b"x" * 200)
    assert greedy.is_empty
    assert modest.unsent_bytes == backlog.unsent_bytes == 502


async def test_a_closed_outbox_takes_nothing() -> None:
    backlog = Backlog()
    queue = queue_of(backlog)
    queue.put_answer(b"before")
    queue.close()
    queue.put_answer(b"after")
    queue.put_note(b"after")
    assert queue.is_empty
    assert backlog.unsent_bytes == 0
