"""The bandwidth timetable: which bound holds at a moment of the week."""

from __future__ import annotations

from forged.model.target import Bandwidth

MINUTES_PER_DAY = 24 * 60


def minute_of_week(weekday: int, minute: int) -> int:
    """Monday 00:00 is 0. `weekday` counts from Monday = 0 (datetime.weekday), `minute` from midnight."""
    return weekday * MINUTES_PER_DAY + minute


def rate_at(bandwidth: Bandwidth, weekday: int, minute: int) -> int | None:
    """Bytes per second at that local time; None is without a bound.

    The week is a ring: before its first step the last one of the week still holds.
    """
    now = minute_of_week(weekday, minute)
    begun = [step for step in bandwidth.steps if step.minute_of_week <= now]
    holding = (begun or list(bandwidth.steps))[-1:]
    return holding[0].bytes_per_s if holding else None
