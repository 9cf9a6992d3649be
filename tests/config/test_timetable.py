"""Bandwidth timetables as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.config.timetable import bandwidth_text, parse_bandwidth
from forged.kit.units import format_rate
from forged.model.target import Bandwidth, RateStep
from forged.rules.bandwidth import rate_at

DAY = 24 * 60


def test_a_rate_alone_holds_all_week() -> None:
    assert parse_bandwidth("20MB/s") == Bandwidth((RateStep(0, 20_000_000),))
    assert parse_bandwidth("off") == Bandwidth()


def test_a_plain_time_means_every_day_and_a_day_of_its_own_wins() -> None:
    steps = {step.minute_of_week: step.bytes_per_s for step in parse_bandwidth("08:00,5MB/s 0:00,1MB/s sat-00:00,off").steps}
    assert steps == {day * DAY: 1_000_000 for day in range(7)} | {day * DAY + 480: 5_000_000 for day in range(7)} | {5 * DAY: None}


@pytest.mark.parametrize(
    "text",
    [
        "off",
        "20MB/s",
        "08:00,5MB/s 23:00,off Sat-00:00,off",
        "08:00,5MB/s Sat-08:00,off",
        "Mon-08:00,5MB/s Fri-20:00,off",
        "00:00,off",
    ],
)
def test_a_timetable_is_told_as_short_as_a_person_writes_it(text: str) -> None:
    assert bandwidth_text(parse_bandwidth(text)) == text


def test_steps_ascend_however_they_were_written() -> None:
    minutes = [step.minute_of_week for step in parse_bandwidth("Sun-23:59,off 23:00,off Mon-00:00,1kB/s").steps]
    assert minutes == sorted(minutes) and minutes[0] == 0 and minutes[-1] == 7 * DAY - 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no rate"),
        ("fast", "is no rate"),
        ("08:00", "is no rate"),
        ("24:00,off", "no step of a timetable"),
        ("8,off", "no step of a timetable"),
        ("Someday-08:00,off", "no step of a timetable"),
        ("08:00,5MB", "is no rate"),
        ("08:00,0MB/s", "never move a byte"),
        ("08:00,off 08:00,5MB/s", "a second time"),
        ("Sat-08:00,off sat-08:00,5MB/s", "a second time"),
        ("08:00,off off", "no step of a timetable"),
    ],
)
def test_what_is_no_bandwidth_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_bandwidth(text)


CLOCK = st.integers(0, DAY - 1)
NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
RATE = st.none() | st.integers(1, 900).map(lambda mb: mb * 1_000_000)


@given(st.dictionaries(CLOCK, RATE, min_size=1, max_size=4), st.dictionaries(st.tuples(st.integers(0, 6), CLOCK), RATE, max_size=4))
def test_every_minute_of_the_week_holds_what_was_said_last(
    daily: dict[int, int | None], weekly: dict[tuple[int, int], int | None]
) -> None:
    """Minute by minute round the week, twice, as a person would follow the text with a finger; midnight is a minute like others."""
    items = [f"{at // 60:02}:{at % 60:02},{format_rate(rate)}" for at, rate in daily.items()]
    items += [f"{NAMES[day]}-{at // 60:02}:{at % 60:02},{format_rate(rate)}" for (day, at), rate in weekly.items()]
    read, holding = parse_bandwidth(" ".join(items)), None
    assert parse_bandwidth(bandwidth_text(read)) == read
    moments = sorted({at + day * DAY for day in range(7) for at in daily} | {day * DAY + at for day, at in weekly})
    for again in (False, True):
        for minute in moments:
            day, at = divmod(minute, DAY)
            if again:
                before = (minute - 1) % (7 * DAY)
                if before not in moments:
                    assert rate_at(read, *divmod(before, DAY)) == holding
            holding = weekly.get((day, at), daily.get(at))
            assert rate_at(read, day, at) == holding
