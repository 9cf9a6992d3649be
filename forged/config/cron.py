"""Reading a cron line. What comes out is read alike by every program: weekdays by name, since cron counts them from Sunday and
APScheduler (3.x, `CronTrigger.from_crontab`) from Monday.
"""

from __future__ import annotations

import re

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
"""crontab(5): the five fields and their bounds; 0 and 7 are both Sunday."""

_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)
_HELP = 'write five fields (minute, hour, day of month, month, day of week), such as "30 4 * * mon-fri"'


def parse_cron(text: str) -> str:
    """The same schedule in canonical form. Raises ValueError, which says what is wrong and what is allowed."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{text!r} has {len(fields)} fields: {_HELP}")
    chosen = [_read_field(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = chosen
    if days is not None and weekdays is not None:
        raise ValueError(f"{text!r} gives a day of month and a day of week: programs disagree what both mean; give one of them")
    if not _ever_comes(days, months):
        raise ValueError(f"{text!r} names a day that never comes; choose another day or month")
    shown = [_listed(numbers) for numbers in (minutes, hours, days, months)]
    return " ".join([*shown, "*" if weekdays is None else ",".join(_WEEKDAYS[number] for number in weekdays)])


def _listed(numbers: list[int] | None) -> str:
    return "*" if numbers is None else ",".join(map(str, numbers))


def _read_field(field: str, name: str, low: int, high: int) -> list[int] | None:
    """The numbers a field stands for, Sunday being 0; None for all of them."""
    numbers: set[int] = set()
    for part in field.split(","):
        numbers |= _read_part(part, name, low, high)
    if name == "day of week":
        numbers, high = {number % 7 for number in numbers}, 6
    return None if numbers.issuperset(range(low, high + 1)) else sorted(numbers)


def _read_part(part: str, name: str, low: int, high: int) -> set[int]:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is no {name}: {_HELP}")
    star, begin, end, step = match.groups()
    first = low if star else _number(begin, name)
    # In a cron line `7/2` means "from 7 on, every 2nd"; without a step a single number is only itself.
    last = _number(end, name) if end else high if star or step else first
    if end and name == "day of week" and last == 0 < first:
        last = 7  # fri-sun
    if not (low <= first <= last <= high) or int(step or 1) == 0:
        raise ValueError(f"{part!r} is no {name} from {low} to {high}; a range goes upwards, a step is at least 1")
    return set(range(first, last + 1, int(step or 1)))


def _number(word: str, name: str) -> int:
    names = {"day of week": _WEEKDAYS, "month": ("", *_MONTHS)}.get(name, ())
    if word.isdecimal():
        return int(word)
    if word.lower() in names:
        return names.index(word.lower())
    raise ValueError(f"{word!r} is no {name}: {_HELP}")


def _ever_comes(days: list[int] | None, months: list[int] | None) -> bool:
    """False for the 30th of February and its like; the 29th comes in leap years."""
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    return days is None or min(days) <= max(longest.get(month, 31) for month in months or range(1, 13))
