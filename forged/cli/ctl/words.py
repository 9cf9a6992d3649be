"""Times, names and reasons of the daemon's answers, in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forged.cli.telling import Line, Tone, cells, columns, line
from forged.kit.units import human_duration

if TYPE_CHECKING:
    from forged.model import rpc

MOST_SHOWN = 10
"""Rows of a long list on the screen, unless somebody asks for all; the whole list is in the JSON."""

UNKNOWN = "?"
NOTHING = "-"
"""In a table: what is not known, and what is known to be nothing."""

WHY = {
    "young": "younger than the age limit",
    "preserved": "matches `preserve`",
    "incomplete": "came home cut short, as it is at the source",
    "held": "the target is held",
    "not_home": "not home yet",
    "home_missing": "its copy at home is gone",
    "home_differs": "its copy at home is not what landed there",
    "home_unreadable": "its folder at home is closed to forged (permissions)",
    "changed": "changed at the source since it came home",
    "not_ingested": "a required ingest has not accepted it yet",
    "newest_of_series": "the newest of its numbered series",
    "companion": "a file that belongs to it is not home yet",
    "unguarded": "this source cannot remove it without risk",
    "batch_full": "a later run takes it (max_files_per_batch)",
    "vanished": "gone by itself",
    "failed": "it was tried and did not work",
    "waiting": "still being written",
    "unreadable": "cannot be read at the source",
    "too_large": "larger than max_size",
    "excluded": "not wanted (folders, include, exclude, max_size)",
    "tombstoned": "you deleted it at home",
    "link": "not a regular file",
}
"""The words of forged.model.removal.KeptBecause, and those of `target.drain`."""


def why(word: str) -> str:
    """The reason in words; a word that is newer than this forgectl as it is."""
    return WHY.get(word, word.replace("_", " "))


def now() -> datetime:
    """The present, with a zone."""
    return datetime.now(UTC)


def age_s(time: str, at: datetime) -> float:
    """Seconds from an RFC 3339 time to `at`; never negative, since clocks disagree by a little."""
    return max(since_s(time, at), 0.0)


def since_s(time: str, at: datetime) -> float:
    """Seconds from an RFC 3339 time to `at`; negative before it."""
    return (at - datetime.fromisoformat(time)).total_seconds()


def brief(duration_s: float) -> str:
    """A duration in its largest unit only, in whole seconds at least: `12 s`, `3 min`, `2 h`. Calm numbers, that do not flicker."""
    number, unit = human_duration(max(round(duration_s), 1)).split()[:2]
    return f"{number.removesuffix('.0')} {unit}"


def whole(duration_s: float) -> str:
    """A duration in whole seconds, for what counts down: `7 s`, `2 min 47 s`."""
    seconds = max(round(duration_s), 1)
    return f"{seconds} s" if seconds < 60 else human_duration(seconds)


def ago(time: str | None, at: datetime) -> str:
    """`3 min ago`; `never` for null."""
    return f"{brief(age_s(time, at))} ago" if time else "never"


def clock(time: str) -> str:
    """The local time of day with its date: `2026-11-23 07:41:05`."""
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"


def counted(number: int, noun: str, several: str = "") -> str:
    """`1 file`, `1,200 files`; `2 boxes` with `several`."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


def filled(text: str, columns: int) -> str:
    """The text, with spaces up to so many columns."""
    return text + " " * max(columns - cells(text), 0)


def safe(text: str) -> str:
    """Text that no terminal obeys, for cells whose width counts. `line` does the same for whole lines."""
    return line(text).text


def table(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset(), indent: str = "") -> list[Line]:
    """Aligned lines, the first row being the head."""
    head, *body = columns([[safe(cell) for cell in row] for row in rows], right)
    return [line(indent + head, Tone.QUIET), *(line(indent + text) for text in body)]


NOT_HELD = "more than one answer holds"
"""Why some are named nowhere."""


def more(hidden: int, how: str) -> list[Line]:
    """`and 12 more`, where anything is hidden."""
    return [line(f"  and {hidden:,} more ({how})", Tone.QUIET)] if hidden > 0 else []


def loudness(problem: rpc.Problem) -> Tone:
    """Red for what does not work; yellow for what is safe, and waits for a person."""
    return Tone.WARN if problem["kind"] in ("held", "limited") else Tone.BAD


def times(problem: rpc.Problem, at: datetime) -> str:
    """Since when, and how long until forged tries again by itself: `for 2 min, next try in 37 s`."""
    since, next_try = f"for {brief(age_s(problem['since'], at))}", problem.get("next_try")
    if not next_try:
        return since
    left_s = -since_s(next_try, at)
    return f"{since}, next try in {whole(left_s)}" if left_s > 0 else f"{since}, trying now"


def problems(who: str, found: Sequence[rpc.Problem], at: datetime, columns: int | None = None) -> list[Line]:
    """What is wrong, since when, and what to do; broken between words where a terminal has so few columns."""
    lines = []
    for problem in found:
        first, *rest = problem["message"].splitlines() or [problem["kind"]]
        tone = loudness(problem)
        lines += fold(f"✘ {who}: {first} ({times(problem, at)})", tone, columns, "  ")
        for text in rest:
            lines += fold(f"  {text}", tone, columns, "  ")
        lines += fold(f"  → {problem['hint']}", Tone.PLAIN, columns, "    ") if problem["hint"] else []
    return lines


def fold(text: str, tone: Tone, columns: int | None, indent: str) -> list[Line]:
    """A line, or as many as it needs on a terminal of so many columns; those that follow are indented."""
    whole = line(text, tone)
    if columns is None or cells(whole.text) < columns:
        return [whole]
    import textwrap

    pieces = textwrap.wrap(
        whole.text, max(columns - 1, 20), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [Line(piece, tone) for piece in pieces]
