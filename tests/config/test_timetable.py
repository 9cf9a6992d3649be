"""Bandwidth timetables as text."""

from __future__ import annotations

import pytest

from forged.config.timetable import parse_bandwidth
from forged.model.target import Bandwidth, RateStep

DAY = 24 * 60


def test_a_rate_alone_holds_all_week() -> None:
    assert parse_bandwidth("20MB/s") == Bandwidth((RateStep(0, 20_000_000),))
    assert parse_bandwidth("off") == Bandwidth()


def test_a_plain_time_means_every_day_and_a_day_of_its_own_wins() -> None:
    steps = {step.minute_of_week: step.bytes_per_s for step in parse_bandwidth("08:00,5MB/s 0:00,1MB/s sat-00:00,off").steps}
    assert steps == {day * DAY: 1_000_000 for day in range(7)} | {day * DAY + 480: 5_000_000 for day in range(7)} | {5 * DAY: None}


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
