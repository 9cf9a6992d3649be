"""Lines for people: text that no terminal obeys, and the tone it is said in. The same lines go to a terminal, a pipe or a mail."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from forged.model.errors import ForgedError
from forged.model.paths import shown


class Manner(enum.Enum):
    """How a command speaks: to a person at a terminal, into a pipe or a log, to a program."""

    SCREEN = "screen"
    LINES = "lines"
    JSON = "json"


def manner(as_json: bool = False) -> Manner:
    """What suits standard output."""
    if as_json:
        return Manner.JSON
    return Manner.SCREEN if sys.stdout.isatty() else Manner.LINES


class Tone(enum.Enum):
    """How a line is meant; the value is its style on a terminal, in rich's words."""

    PLAIN = ""
    GOOD = "green"
    BAD = "bold red"
    WARN = "yellow"
    QUIET = "dim"
    TITLE = "bold"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Its text is printable: made by `line`, which escapes what a terminal would obey."""

    text: str
    tone: Tone = Tone.PLAIN


def line(text: str, tone: Tone = Tone.PLAIN) -> Line:
    """A line that is safe to print, wherever its words came from: a box may put anything into an error message."""
    return Line(shown(text.encode("utf-8", "surrogateescape")), tone)


def trouble(who: str, error: ForgedError) -> list[Line]:
    """What went wrong, and below it what to do."""
    first, *more = error.message.splitlines() or [""]
    lines = [line(f"✘ {who}: {first}", Tone.BAD), *(line(f"  {text}", Tone.BAD) for text in more)]
    return lines + ([line(f"  → {error.hint}")] if error.hint else [])


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Rows of equal length as aligned text, two spaces apart; the columns in `right` are flush right. Nothing is cut off."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return ["  ".join(aligned(row, widths, right)).rstrip() for row in rows]


def aligned(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> list[str]:
    return [cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]


def say(lines: Iterable[Line], *, to_stderr: bool = False) -> None:
    """Prints them; coloured where a person sits in front of it."""
    stream = sys.stderr if to_stderr else sys.stdout
    if not stream.isatty():
        stream.writelines(f"{each.text}\n" for each in lines)
        stream.flush()
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for each in lines:
        console.print(Text(each.text, style=each.tone.value), soft_wrap=True)


def print_json(document: object) -> None:
    """One document, in ASCII: no name in it can reach a terminal as more than text."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()
