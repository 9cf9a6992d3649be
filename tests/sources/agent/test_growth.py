"""How many lanes get work: the rule alone, on lines that are made of numbers. No time passes here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.sources.agent.growth import TRY_AGAIN_S, Growth, Measurement

Rate = Callable[[int], float]
"""Bytes a second of a line with so many lanes."""

MUCH = 1 << 40
MB = 1_000_000


def stock(rtt_s: float, link: float = 125 * MB) -> Rate:
    """Each connection has 2.5 MB on its way, up to what the link carries."""
    return lambda lanes: min(link, lanes * 2.5 * MB / rtt_s)


def worked(growth: Growth, rate: Rate, measurements: int = 40, *, busy: float = 0.1, held_back: float = 0.0) -> list[int]:
    """Lets it steer for a while; answers how many lanes were in use in each measurement. TCP needs two to come up to speed."""
    seen: list[int] = []
    since = 0
    for _ in range(measurements):
        lanes = growth.wanted(MUCH)
        if lanes > growth.lanes:
            growth.stepped(lanes, lanes)
            since = 0
        seen.append(growth.lanes)
        ramp = min(1.0, (0.2, 0.8, 1.0)[min(since, 2)])
        growth.measured(Measurement(growth.measure_s, round(rate(growth.lanes) * ramp * growth.measure_s), busy, held_back))
        since += 1
    return seen


def far(rtt_s: float, most: int = 8) -> Growth:
    growth = Growth(most)
    growth.answered(rtt_s)
    return growth


@pytest.mark.parametrize(("rtt_s", "lanes"), [(0.05, 3), (0.15, 8)])
def test_on_a_long_line_it_takes_as_many_as_fill_a_gigabit_and_several_at_once(rtt_s: float, lanes: int) -> None:
    growth = far(rtt_s)
    assert worked(growth, stock(rtt_s))[:1] == [lanes]
    assert growth.lanes == lanes


def test_on_a_line_that_is_full_no_more_are_tried() -> None:
    growth = far(0.15, most=16)
    assert set(worked(growth, stock(0.15, link=112 * MB))) == {8}


def test_on_a_line_that_carries_more_they_grow_on() -> None:
    growth = far(0.15, most=32)
    worked(growth, stock(0.15, link=1_250 * MB))
    assert growth.lanes == 32


def test_where_packets_are_lost_more_help_however_little_each_carries() -> None:
    growth = far(0.05, most=16)
    worked(growth, lambda lanes: lanes * 5 * MB)
    assert growth.lanes == 16


def test_never_more_than_allowed() -> None:
    growth = far(0.15, most=3)
    assert max(worked(growth, stock(0.15))) == 3
    assert set(worked(far(0.15, most=1), stock(0.15))) == {1}


def test_what_brings_nothing_gets_no_more_work_and_is_remembered() -> None:
    growth = far(0.005)
    seen = worked(growth, lambda lanes: 60 * MB)
    assert max(seen) == 2
    assert growth.lanes == 1
    assert worked(growth, lambda lanes: 60 * MB, 20) == [1] * 20


def test_it_grows_while_each_step_brings_something() -> None:
    growth = far(0.015)
    seen = worked(growth, lambda lanes: min(lanes, 5) * 10 * MB)
    assert sorted(set(seen)) == [1, 2, 4, 8]
    assert seen == sorted(seen)
    assert growth.lanes == 8


def test_a_step_that_is_too_much_is_taken_back() -> None:
    growth = far(0.015)
    worked(growth, lambda lanes: min(lanes, 4) * 10 * MB)
    assert growth.lanes == 4


def test_a_stumble_right_after_a_step_is_no_verdict() -> None:
    """A few lost packets, and TCP takes a second to come back."""
    growth = far(0.05, most=3)

    def measured(*rates: float) -> None:
        for rate in rates:
            growth.measured(Measurement(growth.measure_s, round(rate * growth.measure_s), 0.1, 0.0))

    measured(48 * MB, 50 * MB)
    growth.stepped(growth.wanted(MUCH), growth.wanted(MUCH))
    measured(30 * MB, 25 * MB, 40 * MB, 120 * MB, 120 * MB)
    assert growth.lanes == 3


def test_a_lossy_line_is_slow_on_each_connection_and_rewards_many() -> None:
    growth = far(0.05)
    worked(growth, lambda lanes: lanes * 7 * MB)
    assert growth.lanes == 8


def test_where_our_own_thread_is_the_limit_nothing_is_tried() -> None:
    assert set(worked(far(0.0004), lambda lanes: 400 * MB, busy=0.9)) == {1}


def test_while_the_sink_holds_back_nothing_is_learnt() -> None:
    growth = far(0.005)
    assert set(worked(growth, lambda lanes: MB, held_back=0.9)) == {1}
    worked(growth, lambda lanes: lanes * 10 * MB)
    assert growth.lanes == 8


def test_for_a_little_work_no_lane_is_opened() -> None:
    growth = far(0.05)
    assert growth.wanted(10 * MB) == 1
    assert growth.wanted(100 * MB) == 3
    near = far(0.0004)
    assert near.wanted(MUCH) == 1, "the first guess on a short line"


def test_on_a_slow_line_less_work_is_worth_a_lane() -> None:
    growth = far(0.05)
    assert growth.wanted(20 * MB) == 1
    growth.measured(Measurement(growth.measure_s, round(5 * MB * growth.measure_s), 0.1, 0.0))
    assert growth.wanted(20 * MB) == 3


def test_lanes_that_were_opened_ahead_are_no_refusal_of_those_that_are_wanted_meanwhile() -> None:
    """Work came while they were opened: at 150 ms that takes two seconds, and 15 more passed until others were tried."""
    growth = far(0.15, 16)
    ahead = growth.ahead
    assert (ahead, growth.wanted(MUCH)) == (3, 8)
    growth.stepped(ahead, ahead)
    assert growth.wanted(MUCH) == 8


def test_a_source_that_allows_no_more_is_not_asked_again_soon_but_later() -> None:
    growth = far(0.05)
    assert growth.wanted(MUCH) == 3
    growth.stepped(2, 3)
    assert growth.lanes == 2
    seconds = 0.0
    while growth.wanted(MUCH) == 2:
        growth.measured(Measurement(growth.measure_s, round(100 * MB * growth.measure_s), 0.1, 0.0))
        seconds += growth.measure_s
    assert TRY_AGAIN_S <= seconds <= TRY_AGAIN_S + 5


def test_a_limit_that_was_lifted_is_noticed_after_a_while_of_work() -> None:
    growth = far(0.005)
    worked(growth, lambda lanes: 5 * MB)
    assert growth.lanes == 1
    worked(growth, lambda lanes: lanes * 10 * MB, round(TRY_AGAIN_S / growth.measure_s) + 40)
    assert growth.lanes == 8


def test_the_shortest_answer_counts() -> None:
    growth = Growth(8)
    assert growth.rtt_s == 0.0
    for seconds in (0.3, 0.05, 0.2):
        growth.answered(seconds)
    assert growth.rtt_s == 0.05


measurements = st.builds(Measurement, st.floats(0.01, 10), st.integers(0, 1 << 40), st.floats(0, 2), st.floats(0, 1.5))


@given(st.integers(1, 32), st.floats(0.0001, 2), st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 9), measurements)))
def test_whatever_is_measured_it_stays_within_its_bounds(
    most: int, rtt_s: float, story: list[tuple[int, int, Measurement]]
) -> None:
    growth = far(rtt_s, most)
    for waiting_bytes, refused, measurement in story:
        wanted = growth.wanted(waiting_bytes)
        assert growth.lanes <= wanted <= most
        if wanted > growth.lanes:
            growth.stepped(max(growth.lanes, wanted - refused), wanted)
        growth.measured(measurement)
        assert 1 <= growth.lanes <= most
