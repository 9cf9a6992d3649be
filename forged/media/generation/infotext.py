"""The text that A1111 and its family write, taken apart: prompt, negative prompt, settings.

As modules/infotext_utils.py (webui 1.10) writes it: the prompt; from a line `Negative prompt:` on the negative one; one line of
`Key: value` pairs that begins with `Steps:`. Values with a comma, a colon or a line end are JSON strings; Civitai puts whole JSON
values there. Extensions add lines below (`Template:`), SD.Next adds its own above (modules/processing_info.py). A prompt may hold
anything, so the last line that looks like the settings is them.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

MAX_CHARS = 1 << 20
"""Of a text that is taken apart. The longest prompts that people make have some tens of thousands."""

LONGEST_KEY_CHARS = 80

MOST_PAIRS = 1_000
"""Real texts have some dozens."""

MOST_BROKEN = 8
"""Values that look like JSON and are not, until no more of them are tried: each may be read to the end of the text, and those
that open one bracket after the other would take hours."""

NEGATIVE = "Negative prompt:"
_STEPS = re.compile(r"\s{0,8}Steps: ?\d")
_INLINE_SETTINGS = re.compile(r" Steps: \d{1,5}, (?:Sampler|Size|Seed|CFG scale|Schedule type): ")
_TEMPLATES = ("Template:", "Negative Template:", "Negative template:")
_BLANKS = re.compile(r"[ \t]*+")
_COMMA = re.compile(r"[ \t]*+,?")
_END = re.compile(r"[,\n]")
_OPENERS = ("[", "{", '"')
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
    lines = text[:MAX_CHARS].replace("\r\n", "\n").rstrip().split("\n")
    lines = lines if any(map(_STEPS.match, lines)) else _unfolded(lines)
    at = _settings_at(lines)
    above, below = lines[:at], lines[at:]
    turn = next((number for number, line in enumerate(above) if line.startswith(NEGATIVE)), len(above))
    settings = list(islice(_settings(below), MOST_PAIRS))
    end = _templates_at(above, turn + 1) if ("App", "SD.Next") in settings else len(above)
    settings += _templates(above[end:])
    negative = "\n".join(above[turn:end]).removeprefix(NEGATIVE)
    return Infotext("\n".join(above[:turn]).strip(), negative.strip(), turn < len(above), tuple(settings))


def _settings_at(lines: list[str]) -> int:
    """Where the settings begin; after the end where there are none."""
    for number in range(len(lines) - 1, -1, -1):
        if _STEPS.match(lines[number]):
            return number
    last = next((number for number in range(len(lines) - 1, -1, -1) if lines[number].strip()), len(lines))
    names = {key.lower() for key, _ in islice(pairs(lines[last]), MOST_PAIRS)} if last < len(lines) else set()
    return last if len(names) >= 3 and len(names & _KNOWN) >= 2 else len(lines)


def _unfolded(lines: list[str]) -> list[str]:
    """Lines as they were before somebody put them all into the last: where it holds settings without doubt, else unchanged."""
    found = deque(_INLINE_SETTINGS.finditer(lines[-1]), maxlen=1)
    if not found:
        return lines
    begin = found[0].start()
    prompt, mark, negative = lines[-1][:begin].partition(f" {NEGATIVE}")
    above = [prompt, f"{NEGATIVE}{negative}"] if mark else [prompt]
    return [*lines[:-1], *above, lines[-1][begin + 1 :]]


def _settings(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs, and below them what extensions add as lines of their own."""
    end = _templates_at(lines, 0)
    yield from pairs("\n".join(lines[:end]))
    yield from _templates(lines[end:])


def _templates_at(lines: list[str], begin: int) -> int:
    """Where the first line of a template is; the end where there is none."""
    return next((number for number in range(begin, len(lines)) if lines[number].startswith(_TEMPLATES)), len(lines))


def _templates(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Lines that each begin a template, and those that continue it."""
    starts = [number for number, line in enumerate(lines) if line.startswith(_TEMPLATES)]
    for begin, until in islice(pairwise([*starts, len(lines)]), MOST_PAIRS):
        key, _, value = "\n".join(lines[begin:until]).partition(":")
        yield key, value.strip()


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """`Key: value, Key: "a, JSON string", Key: [JSON]`."""
    at, broken = 0, 0
    while (colon := text.find(":", at)) >= 0:
        key = text[max(at, colon - LONGEST_KEY_CHARS - 8) : colon].rpartition(",")[2].strip()
        start = _BLANKS.match(text, colon + 1).end()  # type: ignore[union-attr]  # it matches nothing, too
        value = _json(text, start) if broken < MOST_BROKEN and text[start : start + 1] in _OPENERS else None
        broken += value is None and text[start : start + 1] in _OPENERS
        told, at = value or _plain(text, start)
        if key and len(key) <= LONGEST_KEY_CHARS:
            yield key, told


def _json(text: str, at: int) -> tuple[str, int] | None:
    """A JSON value as text, and where the next pair begins. What it is followed by has to be the end of the pair."""
    try:
        value, after = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    if text[after : after + 1] not in ("", ",", "\n", " "):
        return None
    told = value if isinstance(value, str) else text[at:after]
    told = told.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return told, _COMMA.match(text, after).end()  # type: ignore[union-attr]  # it matches nothing, too


def _plain(text: str, at: int) -> tuple[str, int]:
    """A value without quotes, which ends at the comma or the line end, and where the next pair begins."""
    end = _END.search(text, at)
    stop = end.start() if end is not None else len(text)
    return text[at:stop].strip(), stop + 1
