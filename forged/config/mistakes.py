"""Mistakes of a configuration, in our words: where, what, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from os import fsencode
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from forged.config.lines import KeyPath, key_lines, line_of
from forged.kit.masking import masked
from forged.model.paths import shown

_NEEDED = {
    "bool_type": "true or false is needed, without quotes",
    "int_type": "a whole number is needed, without quotes",
    "string_type": "a text in quotes is needed",
    "greater_than_equal": "at least {ge} is needed",
    "less_than_equal": "at most {le} is possible",
    "model_type": "this is a table: write its keys below a header in brackets, or in {{ }}",
    "model_attributes_type": "this is a table: write its keys below a header in brackets, or in {{ }}",
}
"""By pydantic's kind of error (docs.pydantic.dev, "Validation Errors"); only those that strict tables of our types can have."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong at a key, and what to do about it."""

    path: KeyPath
    message: str


def unknown_key(key: str, known: Iterable[str], elsewhere: Mapping[str, Iterable[str]]) -> str:
    """What to say of a key that does not belong here. `elsewhere`: the keys of the other tables, by header."""
    if homes := [header for header, keys in elsewhere.items() if key in keys]:
        return f"it does not belong here but into {' or '.join(homes)}"
    known = sorted(known)
    if close := get_close_matches(key.lower().replace("-", "_"), known, 1):
        return f"no such key here; did you mean {close[0]!r}?"
    return f"no such key here; known are {', '.join(known)}"


def in_our_words(error: ErrorDetails, table: type[BaseModel]) -> str:
    """What one of pydantic's errors means to the owner. Values are not repeated: they may be secrets."""
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return masked(str(context["error"]))
    if error["type"] == "missing":
        field = table.model_fields.get(str(error["loc"][-1]))
        return f"it is missing: {field.description if field else 'write it'}"
    return _NEEDED.get(error["type"], error["msg"]).format_map({"ge": "", "le": ""} | context)


def shown_key(path: KeyPath, data: Mapping[str, object]) -> str:
    """`target[studio].cleanup.age`: elements of arrays by their name, or by their number from 1."""
    text = ""
    value: object = data
    for key in path:
        value = _inside(value, key)
        if isinstance(key, int):
            name = value.get("name") if isinstance(value, Mapping) else None
            named = isinstance(name, str) and re.fullmatch(r"[\w.-]{1,64}", name)
            text += f"[{name}]" if named else f"[#{key + 1}]"
        else:
            text += ("." if text else "") + (key if re.fullmatch(r"[\w-]+", key) else repr(key))
    return text


def _inside(value: object, key: str | int) -> object:
    if isinstance(value, Mapping) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


def rendered(mistakes: Iterable[Mistake], file: Path, text: str, data: Mapping[str, object]) -> tuple[str, ...]:
    """`file:line: key: what, and what to do`, in the order of the file."""
    lines = key_lines(text)
    placed = sorted(((line_of(lines, mistake.path), mistake) for mistake in mistakes), key=lambda pair: pair[0])
    name = told(file)
    return tuple(f"{name}:{line}: {shown_key(mistake.path, data)}: {harmless(mistake.message)}" for line, mistake in placed)


def told(path: Path) -> str:
    """A path of ours for people, logs and JSON: the owner's folders need not be UTF-8."""
    return shown(fsencode(path))


def harmless(message: str) -> str:
    """On one line, and nothing for a terminal to obey: it may quote a path or a value."""
    return shown(message.encode("utf-8", "backslashreplace"))
