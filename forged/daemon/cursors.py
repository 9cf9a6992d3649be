"""Where a page of a list begins: the `next_cursor` of the page before. What is none is refused alike by all methods."""

from __future__ import annotations

import base64

from forged.control.errors import InvalidParams
from forged.model.errors import BadPath
from forged.model.paths import SourcePath, source_path


def bad_cursor() -> InvalidParams:
    """It was never a `next_cursor` of this method, or what it named is gone."""
    return InvalidParams(hint="`cursor` is none of this method's: take the `next_cursor` of the page before, or begin without one")


def encoded(place: bytes) -> str:
    """The cursor of this place."""
    return base64.b64encode(place).decode("ascii")


def decoded(cursor: str) -> bytes:
    """The place of a cursor. Raises InvalidParams."""
    try:
        return base64.b64decode(cursor, validate=True)
    except ValueError as e:  # binascii.Error is one; a text that is not ASCII is another
        raise bad_cursor() from e


def number(cursor: str) -> int:
    """The place of a cursor that counts. Raises InvalidParams."""
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise bad_cursor()
    return int(cursor)


def path(cursor: str) -> SourcePath:
    """The path that a cursor names. Raises InvalidParams."""
    try:
        return source_path(decoded(cursor))
    except BadPath as e:
        raise bad_cursor() from e
