"""Reading a bandwidth: a rate, `off`, or a timetable such as `08:00,5MB/s 23:00,off Sat-00:00,off`.

The grammar is that of rclone's --bwlimit (rclone.org/docs), with our rates, which name their unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from forged.kit.units import format_rate, parse_rate
from forged.model.target import Bandwidth, RateStep
from forged.rules.bandwidth import MINUTES_PER_DAY, minute_of_week

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MOMENT = re.compile(r"(?:([A-Za-z]+)-)?([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_HELP = 'write moments and rates such as "08:00,5MB/s 23:00,off Sat-00:00,off" (days: Mon to Sun, times: 00:00 to 23:59)'


def parse_bandwidth(text: str) -> Bandwidth:
    """The bound or timetable that `text` asks for; a plain `HH:MM` means every day, a day of its own wins over it.

    Raises ValueError, which says what is allowed.
    """
    if "," not in text:
        rate = parse_rate(text)
        return Bandwidth() if rate is None else Bandwidth((RateStep(0, rate),))
    every_day: dict[int, int | None] = {}
    one_day: dict[int, int | None] = {}
    for item in text.split():
        minutes, bytes_per_s = _read_item(item)
        steps = every_day if len(minutes) == 7 else one_day
        if minutes[0] in steps:
            raise ValueError(f"{item!r} says a second time what holds then; keep one of the two")
        steps.update(dict.fromkeys(minutes, bytes_per_s))
    return Bandwidth(tuple(RateStep(at, bytes_per_s) for at, bytes_per_s in sorted((every_day | one_day).items())))


def bandwidth_text(bandwidth: Bandwidth) -> str:
    """The bound or timetable as `parse_bandwidth` reads it, as short as a person writes it: what most days share is said once."""
    if len(bandwidth.steps) <= 1:
        return format_rate(bandwidth.steps[0].bytes_per_s if bandwidth.steps else None)
    week = {divmod(step.minute_of_week, MINUTES_PER_DAY): step.bytes_per_s for step in bandwidth.steps}
    every_day = {at: _usual(rates) for at in sorted({at for _, at in week}) if len(rates := _of_days(week, at)) == 7}
    items = [(_clock(at), rate) for at, rate in every_day.items()]
    items += [
        (f"{_DAYS[day]}-{_clock(at)}", rate) for (day, at), rate in week.items() if at not in every_day or every_day[at] != rate
    ]
    return " ".join(f"{moment},{format_rate(rate)}" for moment, rate in items)


def _of_days(week: Mapping[tuple[int, int], int | None], at: int) -> list[int | None]:
    """The rates that begin at this minute of a day, Monday's first."""
    return [week[day, at] for day in range(7) if (day, at) in week]


def _usual(rates: Sequence[int | None]) -> int | None:
    return max(rates, key=rates.count)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _read_item(item: str) -> tuple[list[int], int | None]:
    """The minutes of the week at which the rate begins: one for a named day, seven otherwise."""
    moment, comma, rate = item.partition(",")
    match = _MOMENT.fullmatch(moment)
    day = match[1].title() if match and match[1] else None
    if match is None or not comma or (day and day not in _DAYS):
        raise ValueError(f"{item!r} is no step of a timetable: {_HELP}")
    minute = int(match[2]) * 60 + int(match[3])
    days = [_DAYS.index(day)] if day else range(7)
    return [minute_of_week(weekday, minute) for weekday in days], parse_rate(rate)
