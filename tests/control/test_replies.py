"""A batch is answered part by part, and its answer always fits a line."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from forged.control.protocol import BATCH_MOST_PARTS, ID_MOST_CHARS, LINE_MOST_BYTES, result_line
from forged.control.replies import Reply


def test_notifications_alone_are_answered_by_nothing() -> None:
    sent: list[bytes] = []
    reply = Reply(2, is_batch=True, send=sent.append)
    reply.add(None, None)
    reply.add(None, None)
    assert sent == []


def test_a_batch_of_one_is_answered_by_an_array() -> None:
    sent: list[bytes] = []
    Reply(1, is_batch=True, send=sent.append).add(1, b"{}")
    assert sent == [b"[{}]"]


def test_nothing_is_sent_before_the_last_part_is_done() -> None:
    sent: list[bytes] = []
    reply = Reply(3, is_batch=True, send=sent.append)
    reply.add(2, b"2")
    reply.add(None, None)
    assert sent == []
    reply.add(1, b"1")
    assert sent == [b"[2,1]"]


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=BATCH_MOST_PARTS), st.sampled_from(["\x01", "é", "x", "😀"]))
def test_every_part_is_answered_and_the_array_fits_a_line(sizes: list[int], character: str) -> None:
    sent: list[bytes] = []
    ids = [str(number).ljust(ID_MOST_CHARS, character) for number in range(len(sizes))]
    reply = Reply(len(sizes), is_batch=True, send=sent.append)
    for id_, size in zip(ids, sizes, strict=True):
        reply.add(id_, result_line(id_, "x" * size))
    (line,) = sent
    assert len(line) <= LINE_MOST_BYTES
    answers = json.loads(line)
    assert [answer["id"] for answer in answers] == ids
    assert "result" in answers[0]
