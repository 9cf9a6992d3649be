"""How much is asked of one lane ahead: the rule alone, on lines that are made of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.sources.agent.window import ALL_BYTES, LEAST_BYTES, MOST_BYTES, Window

MB = 1_000_000


def after(laps: int, rtt_s: float, link_bytes_per_s: float, lanes: int = 1, most_on_its_way: float = 1e12) -> Window:
    """One after so many round trips on a line that carries what it is asked for, within its own bounds."""
    window, now_s = Window(), 100.0
    for _ in range(laps):
        carried = min(window.bytes, most_on_its_way, link_bytes_per_s * rtt_s)
        for _ in range(10):
            now_s += rtt_s / 10
            window.arrived(int(carried / 10), now_s, rtt_s, lanes)
    return window


@pytest.mark.parametrize("rtt_s", [0.05, 0.15])
def test_one_lane_can_fill_a_gigabit_and_gets_there_in_a_few_round_trips(rtt_s: float) -> None:
    assert 125 * MB * rtt_s < after(5, rtt_s, 125 * MB).bytes <= MOST_BYTES


def test_where_tcp_is_the_bound_no_more_than_twice_of_it_is_asked_for() -> None:
    assert after(100, 0.15, 125 * MB, most_on_its_way=2.5 * MB).bytes <= max(5 * MB, LEAST_BYTES) + 1


def test_a_full_line_gets_half_a_round_trip_more_than_it_carries() -> None:
    assert after(100, 0.05, 200 * MB).bytes == pytest.approx(1.5 * 200 * MB * 0.05, rel=0.01)


def test_a_line_that_becomes_faster_is_filled_again() -> None:
    window, now_s = after(100, 0.15, 25 * MB), 1000.0
    for _ in range(100):
        now_s += 0.015
        window.arrived(int(min(window.bytes, 125 * MB * 0.15) / 10), now_s, 0.15, 1)
    assert window.bytes > 125 * MB * 0.15


def test_on_a_slow_line_what_comes_anew_does_not_wait_long() -> None:
    assert after(50, 0.05, 2 * MB).bytes == LEAST_BYTES


def test_a_moment_without_a_byte_does_not_undo_it() -> None:
    window = after(20, 0.15, 125 * MB)
    before = window.bytes
    window.arrived(0, 1000.0, 0.15, 1)
    assert before / 2 < window.bytes < before


@given(st.integers(1, 32), st.lists(st.tuples(st.integers(0, 1 << 40), st.floats(0, 10), st.floats(0, 2)), min_size=1, max_size=50))
def test_whatever_happens_it_stays_within_its_bounds(lanes: int, story: list[tuple[int, float, float]]) -> None:
    window, now_s = Window(), 100.0
    for size_bytes, seconds, rtt_s in story:
        now_s += seconds + 0.01
        window.arrived(size_bytes, now_s, rtt_s, lanes)
        assert 0 < window.bytes <= MOST_BYTES
    assert window.bytes * lanes <= max(ALL_BYTES, LEAST_BYTES * lanes)
