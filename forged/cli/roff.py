"""The few requests of man(7) that the pages need, and text that none of them obeys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

NAMED = {"\\": "\\e", "-": "\\-", "→": "\\(->", "…": "\\&...", "✔": "*", "✘": "x", "“": "\\(lq", "”": "\\(rq", "×": "\\(mu"}
"""What roff has a name for: a bare `-` would come out as a hyphen that nobody can paste (groff_char(7))."""


def text(words: str) -> str:
    """One line of words as roff reads them; `code` in bold."""
    escaped = "".join(NAMED.get(character, character) for character in words)
    plain = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", escaped)
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def bold(words: str) -> str:
    return f"\\fB{text(words)}\\fR"


def page_head(name: str, section: int, version: str, date: str) -> list[str]:
    """The title line; no hyphenation, and no words pulled apart to fill a line."""
    return [f'.TH {name.upper()} {section} "{date}" "forged {version}" "forged"', ".nh", ".ad l"]


def heading(words: str) -> Iterator[str]:
    yield f".SH {words}"


def subheading(words: str) -> Iterator[str]:
    yield f".SS {text(words)}"


def definition(term: str, what: str) -> Iterator[str]:
    """A term, and what it means, indented."""
    yield ".TP"
    yield bold(term)
    yield from _filled(" ".join(what.split()))


def literal(lines: Sequence[str]) -> Iterator[str]:
    """Lines as they are, indented."""
    yield ".PP"
    yield ".RS 4"
    yield ".nf"
    yield from (text(line) for line in lines)
    yield ".fi"
    yield ".RE"
    yield ".PP"


def blocks(words: str) -> Iterator[str]:
    """Paragraphs, separated by empty lines; one that begins with click's \\b keeps its lines."""
    for number, paragraph in enumerate(each for each in words.strip().split("\n\n") if each.strip()):
        lines = paragraph.strip("\n").splitlines()
        if lines[0].strip() == "\b":
            yield from literal([line.strip() for line in lines[1:]])
        else:
            if number:
                yield ".PP"
            yield from _filled(" ".join(paragraph.split()))


def tidy(lines: Iterable[str]) -> list[str]:
    """Without breaks between paragraphs where there is no paragraph: a heading or a definition follows, or nothing."""
    kept: list[str] = []
    for line in lines:
        if kept and kept[-1] == ".PP" and line.startswith((".PP", ".SH", ".SS", ".TP")):
            kept.pop()
        kept.append(line)
    return kept[:-1] if kept[-1:] == [".PP"] else kept


def _filled(words: str) -> Iterator[str]:
    """A sentence a line, so that roff sets the space behind it."""
    if not words:
        yield "\\&"
        return
    for sentence in re.split(r"(?<=[.:;?]) (?=[A-Z`$~])", words):
        yield text(sentence)
