"""The text that A1111 and its family write, taken apart: prompt, negative prompt, settings.

As modules/infotext_utils.py (webui 1.10) writes it: the prompt; from a line `Negative prompt:` on the negative one; one line of
`Key: value` pairs that begins with `Steps:`. Values with a comma, a colon or a line end are JSON strings; Civitai puts whole JSON
values there. Extensions add lines below (`Template:`). A prompt may hold anything, so the last line that looks like the settings
is them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

MAX_CHARS = 2_000_000
"""Of a text that is taken apart. The longest prompts that people make have some tens of thousands."""

LONGEST_KEY_CHARS = 80

NEGATIVE = "Negative prompt:"
_STEPS = re.compile(r"\s{0,8}Steps: ?\d")
_TEMPLATES = ("Template:", "Negative Template:")
_KNOWN = frozenset({"sampler", "seed", "size", "cfg scale", "model", "model hash", "schedule type"})
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Infotext:
    """The three parts; `settings` in their order, JSON strings decoded. Without settings the text was perhaps no infotext."""

    prompt: str
    negative: str
    has_negative: bool
    settings: tuple[tuple[str, str], ...]

    def get(self, key: str) -> str | None:
        """The value of the first setting of this name, whatever the case."""
        return next((value for name, value in self.settings if name.lower() == key), None)

    def settings_of_their_own(self, others: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """All but those (names in lower case)."""
        return tuple((name, value) for name, value in self.settings if name.lower() not in others)


def taken_apart(text: str) -> Infotext:
    """Never fails; takes time in proportion to the text."""
    lines = text[:MAX_CHARS].replace("\r\n", "\n").split("\n")
    at = _settings_at(lines)
    above, below = lines[:at], lines[at:]
    turn = next((number for number, line in enumerate(above) if line.startswith(NEGATIVE)), len(above))
    negative = "\n".join(above[turn:]).removeprefix(NEGATIVE)
    return Infotext("\n".join(above[:turn]).strip(), negative.strip(), turn < len(above), tuple(_settings(below)))


def _settings_at(lines: list[str]) -> int:
    """Where the settings begin; after the end where there are none."""
    for number in range(len(lines) - 1, -1, -1):
        if _STEPS.match(lines[number]):
            return number
    last = next((number for number in range(len(lines) - 1, -1, -1) if lines[number].strip()), len(lines))
    names = {key.lower() for key, _ in pairs(lines[last])} if last < len(lines) else set()
    return last if len(names) >= 3 and len(names & _KNOWN) >= 2 else len(lines)


def _settings(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs, and below them what extensions add as lines of their own."""
    templates = [number for number, line in enumerate(lines) if line.startswith(_TEMPLATES)]
    end = templates[0] if templates else len(lines)
    yield from pairs("\n".join(lines[:end]))
    for begin, until in pairwise([*templates, len(lines)]):
        key, _, value = "\n".join(lines[begin:until]).partition(":")
        yield key, value.strip()


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """`Key: value, Key: "a, JSON string", Key: [JSON]`."""
    at, end = 0, len(text)
    while at < end:
        colon = text.find(":", at)
        if colon < 0:
            return
        key = text[max(at, colon - LONGEST_KEY_CHARS - 8) : colon].strip(" ,\n\t")
        comma = key.rfind(",")
        key = key[comma + 1 :].strip() if comma >= 0 else key
        value, at = _value(text, colon + 1)
        if key and len(key) <= LONGEST_KEY_CHARS:
            yield key, value


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins there, and where the next pair does."""
    while at < len(text) and text[at] in " \t":
        at += 1
    if at < len(text) and text[at] in '"[{':
        decoded = _json(text, at)
        if decoded is not None:
            value, after = decoded
            comma = text.find(",", after)
            return value, (comma + 1 if comma >= 0 and not text[after:comma].strip() else after)
    stop = _end(text, at)
    return text[at:stop].strip(), stop + 1


def _json(text: str, at: int) -> tuple[str, int] | None:
    """A JSON value as text, and where it ends. What it is followed by has to be the end of the pair."""
    try:
        value, after = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    if text[after : after + 1] not in ("", ",", "\n", " "):
        return None
    told = value if isinstance(value, str) else text[at:after]
    return told.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), after


def _end(text: str, at: int) -> int:
    """Where a plain value ends: at the comma or the line end."""
    comma, line = text.find(",", at), text.find("\n", at)
    return min(place for place in (comma, line, len(text)) if place >= 0)
