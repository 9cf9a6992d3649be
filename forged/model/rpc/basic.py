"""What many answers have in common. TypedDict is typing_extensions' because pydantic reads no other before Python 3.12."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

Scalar = str | int | float | bool | None


class Done(TypedDict):
    """It is done. `message` is a sentence for people."""

    success: bool
    message: str


class Path(TypedDict):
    """A file, by its name at the source."""

    path: str
    path_b64: NotRequired[str]


class PathWhy(Path):
    """A file, and a word that says why it is in this list."""

    why: str


class Problem(TypedDict):
    """Something that is wrong now. `kind` is a stable word (forged.model.errors), `since` when it broke.

    `next_try`: when forged tries again by itself, a time of the past while it tries; null where it does not go by a time.
    """

    kind: str
    message: str
    hint: str
    since: str
    next_try: NotRequired[str | None]
