"""Cron lines, against the scheduler that will run them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from forged.config.cron import parse_cron


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("30 4 * * *", "30 4 * * *"),
        ("*/15 * * * *", "0,15,30,45 * * * *"),
        ("0 0-23 * * *", "0 * * * *"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("0 4 * * 0", "0 4 * * sun"),
        ("0 4 * * 7", "0 4 * * sun"),
        ("0 4 * * 1-5", "0 4 * * mon,tue,wed,thu,fri"),
        ("0 4 * * FRI-Sun", "0 4 * * sun,fri,sat"),
        ("0 4 * * 0-6", "0 4 * * *"),
        ("0 4 * * 1-7", "0 4 * * *"),
        ("0 4 1 * mon-sun", "0 4 1 * *"),
        ("0 4 * * 1-7/2", "0 4 * * sun,mon,wed,fri"),
        ("0 4 1,15 jan-mar *", "0 4 1,15 1,2,3 *"),
        ("0 4 29 2 *", "0 4 29 2 *"),
    ],
)
def test_a_schedule_has_one_canonical_form(text: str, canonical: str) -> None:
    assert parse_cron(text) == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 fields"),
        ("@daily", "has 1 fields"),
        ("* * * * * *", "has 6 fields"),
        ("60 * * * *", "no minute from 0 to 59"),
        ("* 24 * * *", "no hour from 0 to 23"),
        ("* * 0 * *", "no day of month from 1 to 31"),
        ("* * * 13 *", "no month from 1 to 12"),
        ("* * * * 8", "no day of week from 0 to 7"),
        ("30-10 * * * *", "a range goes upwards"),
        ("*/0 * * * *", "a step is at least 1"),
        ("1,,2 * * * *", "is no minute"),
        ("mon * * * *", "is no minute"),
        ("* * * * monday", "is no day of week"),
        ("0 4 1 * 1", "programs disagree"),
        ("0 4 30 2 *", "never comes"),
        ("0 4 31 4,6 *", "never comes"),
        ("-5 * * * *", "is no minute"),
        ("1-2-3 * * * *", "is no minute"),
    ],
)
def test_what_is_no_schedule_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_cron(text)


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    plain = number.map(str)
    ranged = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(st.just("*") | ranged, st.integers(1, 70)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.just("*") | st.lists(plain | ranged | stepped, min_size=1, max_size=3).map(",".join)


@given(fields(0, 59), fields(0, 23), fields(0, 6))
def test_the_scheduler_fires_on_the_weekdays_that_cron_means(minute: str, hour: str, weekday: str) -> None:
    trigger = CronTrigger.from_crontab(parse_cron(f"{minute} {hour} * * {weekday}"), timezone=UTC)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(4):
        fired = trigger.get_next_fire_time(None, moment)
        assert fired is not None
        assert fired.isoweekday() % 7 in meant(weekday, 0, 6)
        assert fired.hour in meant(hour, 0, 23) and fired.minute in meant(minute, 0, 59)
        moment = fired + timedelta(minutes=1)


def meant(field: str, low: int, high: int) -> set[int]:
    """What crontab(5) says of a field, written down a second time."""
    numbers: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        begin, _, end = (f"{low}-{high}" if span == "*" else span).partition("-")
        numbers |= set(range(int(begin), int(end or begin) + 1, int(step or 1)))
    return numbers
