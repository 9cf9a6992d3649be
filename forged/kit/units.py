"""Sizes, rates and durations: reading what people write, writing what they can read.

Two kinds of output: `format_*` is exact and can be parsed again; `human_*` is rounded, for screens and sentences.
"""

from __future__ import annotations

import re

_DECIMAL_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3), ("B", 1))
_BINARY_UNITS = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
"""SI and IEC 80000-13 prefixes: disks and links are sold in the first, memory is counted in the second."""

_BYTES_PER_UNIT = dict(_DECIMAL_UNITS + _BINARY_UNITS) | {"KB": 10**3}
"""`KB` is no SI prefix, but everyone writes it."""

_NS_PER_UNIT = {"d": 86_400 * 10**9, "h": 3_600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6}

_MOST_BYTES = 2**63 - 1
"""The largest offset in a file (off_t). A larger size means nothing, and no database column holds it."""

_MOST_DAYS = 10**7
"""Some 27,000 years; at 51 million days a float stops counting milliseconds."""

# Nineteen digits hold _MOST_BYTES. Compiled when something is read (re keeps them): forgectl only writes, and starts 10 ms sooner
# without these and without `fractions`.
_SIZE = r"(\d{1,19}(?:\.\d{1,9})?) ?([A-Za-z]+)"
_DURATION = r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[dhms]))+"
_DURATION_PART = r"([\d.]+)(ms|[dhms])"

_SIZE_HELP = 'write a number and B, kB, MB, GB, TB or KiB, MiB, GiB, TiB, such as "50MB"'
_RATE_HELP = 'write a size per second such as "20MB/s", or "off" for no bound'
_DURATION_HELP = 'write a number and ms, s, m, h or d, such as "30s", "1h30m" or "7d"'


def parse_size(text: str) -> int:
    """Bytes. `kB MB GB TB` count in thousands, `KiB MiB GiB TiB` in 1024s. Raises ValueError, which says what is allowed."""
    from fractions import Fraction

    match = re.fullmatch(_SIZE, text.strip(), re.ASCII)
    if match is None or match[2] not in _BYTES_PER_UNIT:
        raise ValueError(f"{text!r} is no size: {_SIZE_HELP}")
    size_bytes = round(Fraction(match[1]) * _BYTES_PER_UNIT[match[2]])
    if size_bytes > _MOST_BYTES:
        raise ValueError(f"{text!r} is more than any file can have: {_SIZE_HELP}")
    return size_bytes


def format_size(size_bytes: int) -> str:
    """The shortest exact form, which `parse_size` reads back as the same number: 64000000000 is `64GB`, 65536 is `64KiB`."""
    units = (*_DECIMAL_UNITS, *_BINARY_UNITS)
    return min((f"{size_bytes // factor}{unit}" for unit, factor in units if size_bytes % factor == 0), key=len)


def parse_rate(text: str) -> int | None:
    """Bytes per second; None for `off`, which means without a bound. Raises ValueError; also for a rate that moves nothing."""
    if text.strip() == "off":
        return None
    size, slash, second = text.strip().partition("/")
    if not slash or second.strip() != "s":
        raise ValueError(f"{text!r} is no rate: {_RATE_HELP}")
    try:
        bytes_per_s = parse_size(size)
    except ValueError:
        raise ValueError(f"{text!r} is no rate: {_RATE_HELP} (bytes, not bits)") from None
    if bytes_per_s == 0:
        raise ValueError(f"{text!r} would never move a byte: {_RATE_HELP}")
    return bytes_per_s


def format_rate(bytes_per_s: int | None) -> str:
    """The exact form, which `parse_rate` reads back."""
    return "off" if bytes_per_s is None else f"{format_size(bytes_per_s)}/s"


def parse_duration(text: str) -> float:
    """Seconds. Parts add up (`1h30m`), each unit at most once. Raises ValueError, which says what is allowed."""
    from fractions import Fraction

    compact = text.strip()
    parts = re.findall(_DURATION_PART, compact, re.ASCII) if re.fullmatch(_DURATION, compact, re.ASCII) else []
    units = [unit for _, unit in parts]
    if not parts or len(set(units)) != len(units):
        raise ValueError(f"{text!r} is no duration: {_DURATION_HELP}")
    duration_s = float(sum(Fraction(number) * _NS_PER_UNIT[unit] for number, unit in parts) / 10**9)
    if round(duration_s, 3) >= _MOST_DAYS * 86_400:
        raise ValueError(f"{text!r} is longer than anything lasts: {_DURATION_HELP}")
    return duration_s


def format_duration(duration_s: float) -> str:
    """The exact form to the millisecond, which `parse_duration` reads back: `1h30m`, `500ms`, `0s`."""
    rest_ns = round(duration_s * 1000) * 10**6
    text = ""
    for unit, unit_ns in _NS_PER_UNIT.items():
        count, rest_ns = divmod(rest_ns, unit_ns)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def human_size(size_bytes: float) -> str:
    """For people, in decimal units: `0 B`, `980 kB`, `1.4 GB`."""
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if round(value) < 1000:
            break
        value, unit = value / 1000, larger
    digits = 0 if unit == "B" or round(value, 1) >= 100 else 1
    return f"{value:.{digits}f} {unit}"


def human_rate(bytes_per_s: float | None) -> str:
    """For people: `12.5 MB/s`; None, the absence of a bound, is `off`."""
    return "off" if bytes_per_s is None else f"{human_size(bytes_per_s)}/s"


def human_duration(duration_s: float) -> str:
    """For people, in the two largest units that say something: `350 ms`, `4.2 s`, `3 min 20 s`, `2 h`, `3 d 4 h`."""
    if round(duration_s * 1000) < 1000:
        return f"{round(duration_s * 1000)} ms"
    if round(duration_s, 1) < 10:
        return f"{duration_s:.1f} s"
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return _two(seconds // 60, "min", seconds % 60, "s")
    minutes = round(duration_s / 60)
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(duration_s / 3600)
    return _two(hours // 24, "d", hours % 24, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")
