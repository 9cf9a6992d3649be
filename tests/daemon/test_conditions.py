"""A condition is logged once when it breaks and once when it heals, however often it is met in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.daemon.conditions import Conditions
from forged.kit.clock import HandClock
from forged.model.errors import AuthRefused, DiskFull, ForgedError, Scope, SourceUnreachable
from tests.daemon.grounds import Heard


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def conditions(heard: Heard, clock: HandClock) -> Conditions:
    return Conditions("box", heard, clock)


def test_one_line_when_it_breaks_and_one_when_it_heals(conditions: Conditions, heard: Heard, clock: HandClock) -> None:
    for _ in range(100):
        conditions.broken("unreachable", "no answer", "look")
        clock.advance(30)
    conditions.healed("unreachable")
    conditions.healed("unreachable")
    assert heard.lines == [
        ("warning", "no answer", {"target": "box", "kind": "unreachable", "hint": "look"}),
        ("info", "well again: no answer", {"target": "box", "kind": "unreachable", "lasted": "50 min", "times": 100}),
    ]


def test_what_is_wrong_is_listed_since_it_began(conditions: Conditions, clock: HandClock) -> None:
    began_ns = clock.now_ns()
    conditions.broken("unreachable", "no answer", "look")
    clock.advance(60)
    conditions.broken("unreachable", "no route", "look there")
    conditions.broken("disk_full", "no room")
    first, second = conditions.problems
    assert (first.kind, first.message, first.hint, first.since_ns, first.times) == (
        "unreachable",
        "no route",
        "look there",
        began_ns,
        2,
    )
    assert (second.kind, second.since_ns, second.times) == ("disk_full", clock.now_ns(), 1)
    conditions.healed("unreachable")
    assert conditions.problems == (second,)


def test_other_words_for_the_same_are_no_news(conditions: Conditions, heard: Heard) -> None:
    conditions.broken("unreachable", "no answer after 5 s")
    conditions.broken("unreachable", "no answer after 6 s")
    assert [(level, event) for level, event, _ in heard.lines] == [("warning", "no answer after 5 s")]


def test_what_breaks_again_is_news_again(conditions: Conditions, heard: Heard) -> None:
    for _ in range(2):
        conditions.broken("unreachable", "no answer")
        conditions.healed("unreachable")
    assert heard.levels == ["warning", "info"] * 2


def test_an_error_brings_its_kind_and_its_hint(conditions: Conditions, heard: Heard) -> None:
    for _ in range(3):
        conditions.failed(SourceUnreachable("box does not answer"))
    assert len(heard.lines) == 1
    (problem,) = conditions.problems
    assert (problem.kind, problem.message, problem.scope) == ("source_unreachable", "box does not answer", Scope.SOURCE)
    assert problem.hint == SourceUnreachable.default_hint
    assert heard.lines[0][2]["hint"] == SourceUnreachable.default_hint


def test_another_error_of_the_same_scope_takes_the_place_of_the_first(conditions: Conditions, heard: Heard) -> None:
    conditions.failed(SourceUnreachable())
    conditions.failed(DiskFull())
    conditions.failed(AuthRefused())
    assert [problem.kind for problem in conditions.problems] == ["disk_full", "auth_refused"]
    assert heard.levels == ["warning"] * 3


def test_a_scope_that_works_again_heals_its_errors_and_no_others(conditions: Conditions, heard: Heard) -> None:
    conditions.failed(SourceUnreachable())
    conditions.failed(DiskFull())
    conditions.broken("held", "a person has to look")
    conditions.well(Scope.SOURCE)
    conditions.well(Scope.SOURCE)
    assert [problem.kind for problem in conditions.problems] == ["disk_full", "held"]
    assert [event for level, event, _ in heard.lines if level == "info"] == ["well again: The source does not answer."]


def test_what_was_met_after_a_look_began_is_not_disproved_by_it(conditions: Conditions, heard: Heard, clock: HandClock) -> None:
    conditions.failed(DiskFull())
    clock.advance(5)
    began_s = clock.monotonic_s()
    clock.advance(1)
    conditions.failed(DiskFull())
    conditions.well(Scope.DESTINATION, began_s)
    assert heard.levels == ["warning"]
    conditions.well(Scope.DESTINATION, clock.monotonic_s())
    assert heard.levels == ["warning", "info"]


def test_a_clock_set_back_does_not_make_a_time_below_nothing(conditions: Conditions, heard: Heard, clock: HandClock) -> None:
    conditions.broken("unreachable", "no answer")
    clock.advance(-3600)
    conditions.healed("unreachable")
    assert heard.lines[-1][2]["lasted"] == "0 ms"


KINDS = st.sampled_from(["a", "b", "c"])
ERRORS = st.sampled_from([SourceUnreachable(), AuthRefused(), DiskFull()])


@given(st.lists(st.one_of(st.tuples(st.just("broken"), KINDS), st.tuples(st.just("healed"), KINDS), ERRORS)))
def test_lines_alternate_for_each_kind_and_end_as_the_list_does(steps: list[tuple[str, str] | ForgedError]) -> None:
    heard, clock = Heard(), HandClock()
    conditions = Conditions("box", heard, clock)
    for step in steps:
        if isinstance(step, ForgedError):
            conditions.failed(step)
        elif step[0] == "broken":
            conditions.broken(step[1], "x")
        else:
            conditions.healed(step[1])
    for kind in "abc":
        levels = [level for level, _, fields in heard.lines if fields["kind"] == kind]
        assert levels == (["warning", "info"] * len(levels))[: len(levels)]
        assert (levels[-1:] == ["warning"]) == (kind in {problem.kind for problem in conditions.problems})
