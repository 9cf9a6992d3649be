"""Lines for people: text that no terminal obeys, and the tone it is said in. The same lines go to a terminal, a pipe or a mail."""

from __future__ import annotations

import enum
import io
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TextIO

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
    """How a line is meant; the value is its look on a terminal, in the numbers of Select Graphic Rendition (ECMA-48, 8.3.117)."""

    PLAIN = ""
    GOOD = "32"
    BAD = "1;31"
    WARN = "33"
    QUIET = "2"
    TITLE = "1"


class Line(NamedTuple):
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


def cells(text: str) -> int:
    """How many columns of a terminal a printable text takes: two for a wide character (UAX #11), none for a combining mark."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Rows of equal length as aligned text, two spaces apart; the columns in `right` are flush right. Nothing is cut off."""
    widths = [max(cells(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return ["  ".join(aligned(row, widths, right)).rstrip() for row in rows]


def aligned(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> list[str]:
    """Each cell with the spaces that it needs."""
    spaces = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
    return [space + cell if i in right else cell + space for i, (cell, space) in enumerate(zip(row, spaces, strict=True))]


def say(lines: Iterable[Line], *, to_stderr: bool = False) -> None:
    """Prints them; coloured where a person sits in front of it."""
    stream = sys.stderr if to_stderr else sys.stdout
    coloured = is_coloured(stream)
    stream.writelines(f"{painted(each) if coloured else each.text}\n" for each in lines)
    stream.flush()


def terminal_columns() -> int:
    """How wide the terminal is; 80 where it does not say. `shutil` reckons alike, and takes as long to load as a whole answer."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def any_terminal() -> None:
    """What a terminal has no character for becomes a question mark, and ends no command: some still speak Latin-1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="replace")


def is_coloured(stream: TextIO) -> bool:
    """Whether it is a terminal that shows colours, and nobody objects (no-color.org)."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb") and not os.environ.get("NO_COLOR")


def painted(each: Line) -> str:
    """By hand: loading rich for a few colours would take longer than all the rest of a `forgectl status`."""
    return f"\x1b[{each.tone.value}m{each.text}\x1b[0m" if each.tone.value else each.text


def print_json(document: object, *, one_line: bool = False) -> None:
    """One document, in ASCII: no name in it can reach a terminal as more than text. `one_line`: of many, each in a line."""
    sys.stdout.write(json.dumps(document, indent=None if one_line else 2) + "\n")
    sys.stdout.flush()
