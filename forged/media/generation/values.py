"""What a value in a raw block means as a field: strictly, since a hostile text may say anything. None for what is no such value."""

from __future__ import annotations

import json
import math
import re
from typing import TypeGuard

SEED_DIGITS = 40
"""Seeds go to 2^64-1, twenty digits; some programs join two."""

LARGEST_COUNT = 10**9
"""Steps, pixels: beyond it somebody plays."""

LONGEST_NUMBER_CHARS = 64

LONGEST_INSIDE_CHARS = 2_000
"""Of a list or an object that is a setting (InvokeAI's control adapters have some hundred); more is left to the raw block."""

Table = dict[str, object]

_SIZE = re.compile(r"\(?\s*(\d{1,6})\s*[x×X,]\s*(\d{1,6})\b")


def text(value: object) -> str | None:
    """Text with the line ends of Unix."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else None


def word(value: object) -> str | None:
    """A name: a text that is not empty, without blanks around it."""
    return value.strip() or None if isinstance(value, str) else None


def seed(value: object) -> str | None:
    """Decimal digits. -1 asks for a random seed, and is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if 0 <= value < 10**SEED_DIGITS else None
    digits = value.strip() if isinstance(value, str) else ""
    return digits if digits.isascii() and digits.isdecimal() and len(digits) <= SEED_DIGITS else None


def count(value: object) -> int | None:
    """A whole number that is not negative."""
    number = real(value)
    return int(number) if number is not None and number.is_integer() and 0 <= number <= LARGEST_COUNT else None


def real(value: object) -> float | None:
    """A finite number, or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and (len(value) > LONGEST_NUMBER_CHARS or not value.isascii() or "_" in value):
        return None  # what only Python takes for a number
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def size(value: object) -> tuple[int, int] | None:
    """`512x768`, `512 x 768`, `(512, 768)`, `512×768`: width and height."""
    found = _SIZE.match(value) if isinstance(value, str) else None
    return (int(found[1]), int(found[2])) if found else None


def is_table(value: object) -> TypeGuard[Table]:
    """A JSON object."""
    return isinstance(value, dict)


def table(value: object) -> Table:
    """The object, or an empty one."""
    return value if is_table(value) else {}


def tables(value: object) -> list[Table]:
    """The objects in a list."""
    return [one for one in value if is_table(one)] if isinstance(value, list) else []


def shown(value: object) -> str | None:
    """A setting in the generator's words: text as it is, everything else as JSON; None for null and for what is empty or long."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    told = json.dumps(value, ensure_ascii=False) if value else ""
    return told if 0 < len(told) <= LONGEST_INSIDE_CHARS else None
