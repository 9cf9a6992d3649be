"""Which bound holds at a moment of the week."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forged.model.target import Bandwidth, RateStep
from forged.rules.bandwidth import MINUTES_PER_DAY, rate_at

MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY

RATES = st.none() | st.integers(1, 10**9)
STEPS = st.dictionaries(st.integers(0, MINUTES_PER_WEEK - 1), RATES, min_size=1, max_size=8)
MOMENTS = st.integers(0, MINUTES_PER_WEEK - 1)


def table(steps: dict[int, int | None]) -> Bandwidth:
    return Bandwidth(tuple(RateStep(minute, rate) for minute, rate in sorted(steps.items())))


def at(bandwidth: Bandwidth, minute_of_week: int) -> int | None:
    return rate_at(bandwidth, *divmod(minute_of_week, MINUTES_PER_DAY))


def test_without_steps_there_is_never_a_bound() -> None:
    assert rate_at(Bandwidth(), 6, 1439) is None


def test_before_the_first_step_of_the_week_the_last_one_still_holds() -> None:
    weekend_off = table({480: 5, 5 * MINUTES_PER_DAY: None})
    assert rate_at(weekend_off, 0, 479) is None
    assert rate_at(weekend_off, 0, 480) == 5
    assert rate_at(weekend_off, 4, 1439) == 5
    assert rate_at(weekend_off, 5, 0) is None


@given(STEPS, MOMENTS)
def test_going_back_minute_by_minute_finds_the_step_that_holds(steps: dict[int, int | None], moment: int) -> None:
    back = next(
        minute % MINUTES_PER_WEEK for minute in range(moment, moment - MINUTES_PER_WEEK, -1) if minute % MINUTES_PER_WEEK in steps
    )
    assert at(table(steps), moment) == steps[back]


@given(STEPS, MOMENTS, st.integers(0, MINUTES_PER_WEEK - 1))
def test_a_timetable_that_is_turned_around_the_week_holds_turned(steps: dict[int, int | None], moment: int, turn: int) -> None:
    turned = {(minute + turn) % MINUTES_PER_WEEK: rate for minute, rate in steps.items()}
    assert at(table(turned), (moment + turn) % MINUTES_PER_WEEK) == at(table(steps), moment)
