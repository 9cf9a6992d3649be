"""What a manifest of samples expects of a file, compared with what was read. The rules are those that the manifest states."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from forged.model.media import Generation, RawBlock

Sample = Mapping[str, object]

RENAMED = {"gen_width": "width", "gen_height": "height"}
PRESENCE = {"has_comfy_prompt": "graph", "has_workflow": "workflow"}
LISTS = {"loras": "loras", "samplers": "samplings"}
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")
SETTINGS = ("full_prompt", "full_negative_prompt")
"""Lists of texts that are settings of these names."""


def differences(sample: Sample, made: Generation | None) -> list[str]:
    """One line for each expected field that was read otherwise."""
    expected = sample["expected"]
    assert isinstance(expected, dict)
    if made is None:
        return ["no generation was found"]
    return [
        f"{name}: {told!r}, expected {value!r}"
        for name, value in expected.items()
        if not _matches(told := _told(name, made), value, sample.get(f"{name}_any_of"))
    ]


def invented(made: Generation, raw: Sequence[RawBlock]) -> list[str]:
    """Fields whose value is in no raw block. Texts that were put together of several are looked for line by line."""
    said = "\n".join(block.text for block in raw)
    return [f"{name}: {value!r}" for name, value in _values(made) if not _is_said(value, said)]


def _told(name: str, made: Generation) -> object:
    if name in PRESENCE:
        return getattr(made, PRESENCE[name]) is not None
    if name in SETTINGS:
        return [value for key, value in made.settings if key == name]
    return getattr(made, LISTS.get(name, RENAMED.get(name, name)))


def _matches(told: object, expected: object, others: object) -> bool:
    if isinstance(expected, list):
        assert isinstance(told, (list, tuple))
        return len(told) == len(expected) and all(map(_same_part, told, expected))
    allowed = [expected, *others] if isinstance(others, list) else [expected]
    return any(_same(told, one) for one in allowed)


def _same_part(told: object, expected: object) -> bool:
    """One of a list: a text, or an object of which the expected fields count."""
    if not isinstance(expected, dict):
        return _same(told, expected)
    return all(_same(getattr(told, name), value) for name, value in expected.items() if value is not None)


def _same(told: object, expected: object) -> bool:
    if isinstance(told, str) and isinstance(expected, str):
        return told.replace("\r\n", "\n").strip() == expected.replace("\r\n", "\n").strip()
    if isinstance(told, (int, float)) and isinstance(expected, (int, float)):
        return math.isclose(told, expected)
    return told == expected


def _values(made: Generation) -> Iterator[tuple[str, object]]:
    for name in Generation.__struct_fields__:
        value = getattr(made, name)
        if name not in ("generator", "origins", "graph", "workflow", "settings", "prompts", "loras", "samplings") and value:
            yield name, value
    for one in (*made.loras, *made.samplings):
        yield from ((f"{type(one).__name__}.{name}", getattr(one, name)) for name in one.__struct_fields__ if getattr(one, name))
    yield from (("prompts", prompt) for prompt in made.prompts)
    yield from made.settings


def _is_said(value: object, said: str) -> bool:
    if isinstance(value, str):
        leaves = list(_leaves(value))
        return all(_is_said(leaf, said) for leaf in leaves) if leaves else _is_text_said(value, said)
    assert isinstance(value, (int, float))
    return any(form in said for form in (f"{value:g}", repr(value), f"{value:.0f}", json.dumps(value)))


def _is_text_said(text: str, said: str) -> bool:
    return all(any(form in said for form in _forms(line.strip())) for line in text.split("\n"))


def _leaves(text: str) -> Iterator[object]:
    """The values in a list or an object; none in any other text."""
    try:
        left = [json.loads(text)] if text[:1] in ("{", "[") else []
    except ValueError:
        return
    while left:
        one = left.pop()
        if isinstance(one, (dict, list)):
            left += one.values() if isinstance(one, dict) else one
        elif one is not None:
            yield one


def _forms(line: str) -> Iterator[str]:
    """As it is, as JSON (in JSON) has it, with either kind of hexadecimal digits, as XML has it."""
    yield line
    for ascii_only in (True, False):
        once = json.dumps(line, ensure_ascii=ascii_only)[1:-1]
        twice = json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        yield from (
            once,
            twice,
            json.dumps(twice, ensure_ascii=ascii_only)[1:-1],
            html.escape(once),
            html.escape(once, quote=False),
        )
    yield _ESCAPE.sub(lambda found: f"\\u{found[1].upper()}", json.dumps(line)[1:-1])
