"""What a person writes to find something, as an expression of SQLite's full-text index. Pure, and total: no text is a mistake.

Words have to be in the prompt, all of them, in any order: `red fox`. `"red fox"` is a phrase; `-fox` and `-"red fox"` must not be
in it; `fox*` is the beginning of a word, `"red fo"*` of a phrase's last. Case and accents do not matter; nor does punctuation:
`sd_xl` is the phrase `sd xl`. What has no letter and no digit says nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from forged.ingest.catalog.document import EVERY, any_of, spaced

MOST_TERMS = 64
"""Of one query; SQLite refuses expressions that are nested more deeply than 256. What is beyond them is not looked at."""

MOST_CHARS = 10_000

# A quotation mark that is never closed goes to the end.
_TERM = re.compile(r'(-?)(?:"([^"]*)(?:"(\*?)|$)|([^\s"]+))')


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or some that follow each other. No quotation mark is in it."""

    text: str
    prefix: bool = False
    """Its last word is the beginning of one."""
    without: bool = False
    """It must not be there."""


def terms(query: str) -> list[Term]:
    """What is asked for, in its order."""
    return [term for term in _all(query.replace("\0", " ")[:MOST_CHARS]) if _says_something(term.text)][:MOST_TERMS]


def _all(query: str) -> Iterator[Term]:
    for without, phrase, star, word in _TERM.findall(query):
        if word:
            yield Term(word.rstrip("*"), word.endswith("*"), bool(without))
        else:
            yield Term(phrase, bool(star), bool(without))


def _says_something(text: str) -> bool:
    """The index keeps letters, digits and what is for private use (sqlite.org/fts5.html, unicode61)."""
    return any(unicodedata.category(sign)[0] in "LN" or unicodedata.category(sign) == "Co" for sign in text)


def expression(asked: list[Term], facets: list[str]) -> str:
    """For `search match ?`. `facets`: expressions that have to hold as well."""
    wanted = [f"prompt : {_written(term)}" for term in asked if not term.without] + facets
    unwanted = [f"prompt : {_written(term)}" for term in asked if term.without]
    base = " AND ".join(wanted or [any_of([EVERY])])
    return f"({base}) NOT ({' OR '.join(unwanted)})" if unwanted else base


def _written(term: Term) -> str:
    return f'"{spaced(term.text)}" *' if term.prefix else f'"{spaced(term.text)}"'
