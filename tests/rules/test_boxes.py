"""What follows from an answer: an error takes nothing away, and one answer is not enough."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.boxes import Box, BoxId, BoxState, KnownBox, Sighting
from forged.model.target import SourceAddress, SourceKind
from forged.rules import boxes
from forged.rules.boxes import GONE_AFTER_S, LOST_KEPT_S, MISSES, Book, Turn

IDS = [BoxId(id) for id in ("1", "2", "a-b")]
ADDRESSES = [SourceAddress(SourceKind.SSH, "", host, "root", 22) for host in ("a", "b")]


def box(id: str, *addresses: SourceAddress) -> Box:
    return Box(BoxId(id), BoxState.RUNNING if addresses else BoxState.STOPPED, addresses)


a_box = st.builds(
    lambda id, addresses: box(id, *addresses), st.sampled_from(IDS), st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=2)
)
answers = st.one_of(st.none(), st.lists(a_box, unique_by=lambda one: one.id, max_size=3))
"""None: an error."""
histories = st.lists(st.tuples(st.floats(-100, 500), answers), max_size=30)


@given(histories)
def test_a_box_is_gone_only_after_whole_answers_in_a_row_without_it(history: list[tuple[float, list[Box] | None]]) -> None:
    book, now_ns = Book(), 10**18
    without: dict[str, list[int]] = {}
    for after_s, answer in history:
        now_ns += round(after_s * 1e9)
        before = book
        if answer is None:
            book = boxes.failed(book, now_ns)
            assert book.boxes == before.boxes
            continue
        book, decisions = boxes.answered(book, Sighting(now_ns, tuple(answer)))
        seen = {one.id for one in answer}
        for id, known in book.boxes.items():
            without[id] = [] if id in seen else [*without.get(id, []), now_ns]
            if known.gone_since_ns is not None:
                assert len(without[id]) >= MISSES
                assert known.gone_since_ns - min(without[id]) >= GONE_AFTER_S * 1e9
            assert (known.missed == 0) == (id in seen)
        assert set(before.boxes) | seen == set(book.boxes), "only who lets go forgets"
        gone = {id for id, known in book.boxes.items() if known.gone_since_ns is not None}
        was_gone = {id for id, known in before.boxes.items() if known.gone_since_ns is not None}
        assert {one.box.id for one in decisions if one.turn is Turn.GONE} == gone - was_gone
        assert {one.box.id for one in decisions if one.turn is Turn.BACK} == was_gone - gone
        assert {one.box.id for one in decisions if one.turn is Turn.APPEARED} == seen - set(before.boxes)
        assert book.failures == 0


@given(histories, st.floats(5, 86_400), st.floats(0, 1, exclude_max=True), st.one_of(st.none(), st.floats(0, 7200)))
def test_the_next_question_is_never_sooner_than_the_provider_wants(
    history: list[tuple[float, list[Box] | None]], every_s: float, chance: float, retry_after_s: float | None
) -> None:
    book = Book()
    for number, (_, answer) in enumerate(history):
        at_ns = number * 10**9
        book = boxes.failed(book, at_ns) if answer is None else boxes.answered(book, Sighting(at_ns, tuple(answer)))[0]
    wait_s = boxes.next_question_s(book, every_s, chance, retry_after_s)
    assert wait_s >= (retry_after_s or 0.0)
    assert wait_s <= max(retry_after_s or 0.0, 1.1 * max(every_s, boxes.LONGEST_EVERY_S))
    assert wait_s >= 0.9 * min(every_s, boxes.MISSING_EVERY_S)
    if not book.boxes and not book.failures and not retry_after_s:
        assert 0.9 * every_s <= wait_s <= 1.1 * every_s


def test_while_a_box_does_not_answer_it_is_asked_for_once_a_minute_and_never_sooner_than_the_provider_wants() -> None:
    failing = Book(failures=20)
    for book, every_s in ((Book(), 3600.0), (failing, 3600.0), (failing, 60.0)):
        assert boxes.next_question_s(book, every_s, 0.5, unreached=True) == boxes.UNREACHED_EVERY_S
    assert boxes.next_question_s(Book(), 20.0, 0.5, unreached=True) == 20.0
    assert boxes.next_question_s(failing, 60.0, 0.5, 500.0, unreached=True) == 500.0


def test_what_a_provider_does_not_know_is_not_forgotten() -> None:
    known = replace(box("1", ADDRESSES[0]), label="mine", end_ns=5)
    book, _ = boxes.answered(Book(), Sighting(1, (known,)))
    book, decisions = boxes.answered(book, Sighting(2, (Box(BoxId("1"), BoxState.UNKNOWN, why="no heartbeat"),)))
    now = book.boxes[BoxId("1")].box
    assert (now.addresses, now.label, now.end_ns, now.state) == (known.addresses, "mine", 5, BoxState.UNKNOWN)
    assert boxes.nobody_there(book.boxes[BoxId("1")]) == ""
    assert decisions == ()


def test_a_box_that_stops_moves_and_wakes_is_told_so_once() -> None:
    turns = []
    book = Book()
    for at, one in enumerate([box("1", ADDRESSES[0]), box("1", ADDRESSES[1]), box("1"), box("1"), box("1", ADDRESSES[0])]):
        book, decisions = boxes.answered(book, Sighting(at, (one,)))
        turns.append([decision.turn for decision in decisions])
    assert turns == [[Turn.APPEARED], [Turn.MOVED], [Turn.STOPPED], [], [Turn.WOKE]]


@pytest.mark.parametrize(
    ("known", "reached", "kept"),
    [
        (KnownBox(box("1")), False, True),
        (KnownBox(box("1"), gone_since_ns=0), False, False),
        (KnownBox(box("1"), gone_since_ns=0), True, True),
        (KnownBox(box("1"), gone_since_ns=0, left_files=1), False, True),
        (KnownBox(box("1"), gone_since_ns=0, unseen=True), False, True),
        (KnownBox(box("1"), gone_since_ns=-round(LOST_KEPT_S * 1e9), left_files=1), False, False),
    ],
    ids=["there", "gone and home", "gone, says its provider, but it answers", "a backlog", "never seen whole", "for a week"],
)
def test_a_gone_box_keeps_its_target_while_something_is_unfinished(known: KnownBox, reached: bool, kept: bool) -> None:
    assert boxes.is_kept(known, reached=reached, now_ns=0) is kept


words = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)


@given(st.lists(st.tuples(words, words), min_size=2, max_size=6, unique_by=lambda pair: (pair[0].lower(), pair[1].lower())))
def test_names_are_valid_stable_and_of_one_box_only(pairs: list[tuple[str, str]]) -> None:
    discoveries = list({name.lower(): name for name, _ in pairs}.values())
    pairs = [(name, id) for name, id in pairs if name in discoveries]
    names = [boxes.target_name(name, BoxId(id), ["static"], discoveries) for name, id in pairs]
    assert len({name.lower() for name in names}) == len(pairs)
    assert all(len(name) <= boxes.NAME_CHARS for name in names)
    assert len({boxes.manifest_name(name, BoxId(id)) for name, id in pairs}) == len(pairs)
    again = [boxes.target_name(name, BoxId(id), ["static"], discoveries[::-1]) for name, id in pairs]
    assert again == names


def test_names_are_readable_and_make_room_for_others() -> None:
    assert boxes.target_name("vast", BoxId("123"), [], ["vast"]) == "vast-123"
    assert boxes.target_name("vast", BoxId("123"), ["VAST-123"], ["vast"]).startswith("vast-123-")
    assert boxes.target_name("a", BoxId("b-1"), [], ["a", "a-b"]).startswith("a-b-1-")
    assert boxes.target_name("a-b", BoxId("1"), [], ["a", "a-b"]) == "a-b-1"
