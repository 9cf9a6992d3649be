"""JSON as generators write it, read within bounds.

Python's `json.dumps` writes NaN and Infinity. SaveImagePlus and TensorArt leave NULs behind the text, NovelAI in front of it.
VHS encoded its graph twice for some months of 2026, ComfyUI's own frontend has a case that was encoded three times.
"""

from __future__ import annotations

import json

MAX_TEXT_CHARS = 16 << 20
"""Graphs with pictures in them (base64, as painting programs send them) have a few million characters."""

MAX_CONTAINERS = 2_000_000
"""An empty list takes 56 bytes for two characters: 16 Mi characters of nothing else would fill 500 MB."""

MAX_NESTING = 100
"""A graph nests 4 deep, a workflow with subgraphs about 12. Whoever walks a value recursively may rely on this."""

MAX_ENCODINGS = 3
"""So often a text may be wrapped as a JSON string in another."""

_AROUND = "\0\ufeff \t\r\n"
_FIRST = frozenset('{["-0123456789tfnNI')
_DECODER = json.JSONDecoder(strict=False)  # line ends stay unescaped in the strings of some


def loads(text: str) -> object | None:
    """The value; None for what is no JSON, too large or too deep, and for null.

    A JSON string that holds JSON is that JSON; one that does not is a string. Strings hold no lone surrogates (U+FFFD instead).
    Numbers are int (of up to 4,300 digits), or float with NaN and infinities.
    """
    value = _once(text)
    for _ in range(MAX_ENCODINGS):
        inner = _once(value) if isinstance(value, str) else None
        if inner is None:
            break
        value = inner
    return value


def mapping(text: str) -> dict[str, object] | None:
    """The object that a text is, however often encoded; None for anything else, and that at once where it is plain text."""
    if not text[:1024].lstrip(_AROUND).startswith(("{", '"')):
        return None
    value = loads(text)
    return value if isinstance(value, dict) else None


def _once(text: str) -> object | None:
    bare = text.strip(_AROUND)
    if not bare or bare[0] not in _FIRST or len(bare) > MAX_TEXT_CHARS:
        return None
    containers = bare.count("{") + bare.count("[")
    if containers > MAX_CONTAINERS:
        return None
    try:
        value: object = _DECODER.decode(bare)
    except (ValueError, RecursionError):  # ValueError, too, for an integer of more than 4,300 digits
        return None
    if containers > MAX_NESTING and _is_deep(value):
        return None
    return _mended(value) if "\\ud" in bare or "\\uD" in bare else value


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _mended(value: object) -> object:
    """The value without lone surrogates, which only escapes (`\\ud83d` without its other half) can bring in."""
    if isinstance(value, str):
        return _paired(value)
    left = [value]
    while left:
        outer = left.pop()
        if isinstance(outer, dict):
            items = [(_paired(key), _paired(inner) if isinstance(inner, str) else inner) for key, inner in outer.items()]
            outer.clear()
            outer.update(items)
        elif isinstance(outer, list):
            outer[:] = [_paired(inner) if isinstance(inner, str) else inner for inner in outer]
        left += [inner for inner in _inside(outer) if isinstance(inner, (dict, list))]
    return value


def _paired(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
