"""What the full-text index holds of a file: the words of its prompts, and its facts as words of their own. Pure.

What is said here must not change without a migration that builds the index anew: a row is taken out of it by the words that
went in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SEARCHED_CHARS = 100_000
"""Of a file's prompts. The longest that people write have some thousands; a hostile file holds megabytes."""

SEED_CHARS = 40
"""2^64 has 20 digits."""

EVERY = "every"
"""A word that every file has: what is not in a file can only be asked of some that are."""

# Chinese, Japanese kana and Korean are written without spaces, so that SQLite's tokenizer takes a sentence for a word: each sign
# becomes a word, and what is looked for a phrase of them. Thai and its neighbours are found by the beginning of a run only.
_SIGN = re.compile("([\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff])")


class Document(NamedTuple):
    """A row of the index: its two columns."""

    prompt: str
    facets: str


def document(prompts: Iterable[str], target: str, kind: str | None, seeds: Iterable[str], models: Iterable[int]) -> Document:
    facets = [EVERY, of_target(target), *([of_kind(kind)] if kind else ()), *map(of_seed, seeds), *map(of_model, models)]
    return Document(spaced("\n".join(prompts)[:SEARCHED_CHARS]), " ".join(dict.fromkeys(filter(None, facets))))


def spaced(text: str) -> str:
    """With a space around each sign of a script that has none."""
    return text if text.isascii() else _SIGN.sub(r" \1 ", text)


def of_target(name: str) -> str:
    return "t" + name.encode("utf-8", "replace").hex()


def of_kind(kind: str) -> str:
    return "k" + kind


def of_model(id: int) -> str:
    return f"m{id}"


def of_seed(seed: str) -> str:
    """Empty for what is none."""
    seed = seed.strip()
    if not seed or len(seed) > SEED_CHARS:
        return ""
    return f"s{seed}" if seed.isascii() and seed.isdecimal() else "x" + seed.encode("utf-8", "replace").hex()


def any_of(facets: Sequence[str]) -> str:
    """As an expression of FTS5. No facet holds a quotation mark."""
    return "facets : (" + " OR ".join(f'"{one}"' for one in facets) + ")"
