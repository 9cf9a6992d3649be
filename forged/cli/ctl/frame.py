"""Rows of a picture on a terminal: pieces of text, each in its tone, that are cut and filled to a width in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from forged.cli.telling import Tone, cells, line

CUT = "…"


class Span(NamedTuple):
    """A piece of a row. Its text is printable: made by `span`."""

    text: str
    tone: Tone = Tone.PLAIN


Row = tuple[Span, ...]


def span(text: str, tone: Tone = Tone.PLAIN) -> Span:
    """A piece that is safe to draw, wherever its words came from."""
    return Span(line(text).text, tone)


def width(row: Iterable[Span]) -> int:
    """Columns that it takes."""
    return sum(cells(piece.text) for piece in row)


def cut(text: str, columns: int) -> str:
    """Its beginning, in so many columns at most."""
    if cells(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += cells(character)
        if used > columns - 1:
            break
        kept += character
    return kept + CUT if columns > 0 else ""


def cut_front(text: str, columns: int) -> str:
    """Its end, in so many columns at most: of a path, that is the file's name."""
    return text if cells(text) <= columns else cut(text[::-1], columns)[::-1]


def clipped(row: Row, columns: int) -> Row:
    """The row without what is beyond the edge."""
    kept: list[Span] = []
    left = columns
    for piece in row:
        if left <= 0:
            break
        kept.append(Span(cut(piece.text, left), piece.tone))
        left -= cells(piece.text)
    return tuple(kept)


def between(left: Row, right: Row, columns: int) -> Row:
    """Both in one row, `right` at its right edge; where it is narrow, the left one gives way."""
    room = columns - width(right) - 1
    begun = clipped(left, room)
    return (*begun, Span(" " * max(columns - width(begun) - width(right), 0)), *right)


def padded(text: str, columns: int, right: bool = False) -> str:
    """The text in exactly so many columns."""
    fits = cut(text, columns)
    spaces = " " * (columns - cells(fits))
    return spaces + fits if right else fits + spaces


def joined(pieces: Sequence[Span], gap: str = "  ") -> Row:
    """The pieces with a gap between each two."""
    return tuple(each for piece in pieces for each in (Span(gap), piece))[1:]


def painted(row: Row, coloured: bool) -> str:
    """As a terminal takes it."""
    return "".join(
        f"\x1b[{piece.tone.value}m{piece.text}\x1b[0m" if coloured and piece.tone.value and piece.text else piece.text
        for piece in row
    )
