"""Local time by the C library is what the zone's own table says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from forged.kit.localtime import LocalTime

CHANGES = {
    "Europe/Berlin": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),  # half an hour
    "Asia/Kolkata": (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)),  # never changes
}


@pytest.fixture(params=CHANGES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The zone of the machine."""
    yield from living_in(request.param, monkeypatch)


def living_in(zone: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield zone
    time.tzset()


def around(change: datetime) -> Iterator[datetime]:
    """Four hours in steps that hit neither the change alone nor only full hours."""
    return (change + timedelta(minutes=minutes) for minutes in range(-120, 121, 15))


def test_local_time_is_that_of_the_zone_also_where_clocks_change(zone: str) -> None:
    for moment in (each for change in CHANGES[zone] for each in around(change)):
        local, expected = moment.astimezone(LocalTime()), moment.astimezone(ZoneInfo(zone))
        assert (local.replace(tzinfo=None), local.fold, local.utcoffset()) == (
            expected.replace(tzinfo=None),
            expected.fold,
            expected.utcoffset(),
        )


def test_there_and_back_is_the_same_moment(zone: str) -> None:
    moments = [each for change in CHANGES[zone] for each in around(change)]
    assert [moment.astimezone(LocalTime()).astimezone(UTC) for moment in moments] == moments


def test_a_zone_without_a_name_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in living_in("CET-1CEST,M3.5.0,M10.5.0/3", monkeypatch):
        assert datetime(2026, 7, 1, 12, tzinfo=UTC).astimezone(LocalTime()).hour == 14
        assert datetime(2026, 1, 1, 12, tzinfo=UTC).astimezone(LocalTime()).hour == 13
        assert LocalTime().tzname(datetime(2026, 7, 1)) == "CEST"
