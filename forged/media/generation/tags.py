"""Tags for a library, out of a prompt: the words of a list, not the pieces of a sentence.

Prompts for models that learned from tagged pictures are lists (`1girl, solo, (hatsune miku:1.2), <lora:detail:0.8>, BREAK`); those
for models that learned from descriptions are sentences, which make no tags. What decides: the pieces between commas are short.
"""

from __future__ import annotations

import re

from forged.model.media import Generation

LONGEST_TAG_CHARS, LONGEST_TAG_WORDS = 64, 5
"""Longer pieces are clauses. Danbooru's longest tags in use have five words."""

MOST_TAGS = 100

MIN_SHARE = 0.7
"""Of the pieces that have to be short for the prompt to be a list."""

MAX_CHARS = 100_000

_NETWORK = re.compile(r"<[^<>\n]{1,300}>")
_KEYWORD = re.compile(r"\b(?:BREAK|AND|ADDCOMM|ADDBASE|ADDCOL|ADDROW)\b")
_WEIGHT = re.compile(r":-?\d{0,3}\.?\d{1,4}(?=[)\]])|-?\d{0,3}\.?\d{1,4}::")
_UNWANTED = re.compile(r":-\d|-\d{0,3}\.?\d{1,4}::")
"""A negative weight: A1111's `(word:-1)`, NovelAI's `-1::word::`."""

_BRACKETS = re.compile(r"\\([()\[\]{}])|[()\[\]{}\\]")
"""Those with a backslash in front are the tag's own: `saber \\(fate\\)`."""

_PIECES = re.compile(r"[,\n;|]|\. ")


def tags(made: Generation) -> tuple[str, ...]:
    """In the order of the prompt, each once; none where the prompt is a sentence, or there is none."""
    pieces = [piece for text in (made.prompt, *made.prompts) if text for piece in _pieces(text)]
    short = [piece for piece in pieces if _is_short(piece)]
    if len(pieces) < 2 or len(short) < MIN_SHARE * len(pieces):
        return ()
    return tuple(dict.fromkeys(filter(_is_word, short)))[:MOST_TAGS]


def _pieces(text: str) -> list[str]:
    """What stands between commas, without weights, brackets and networks."""
    plain = _KEYWORD.sub(",", _NETWORK.sub(",", text[:MAX_CHARS]))
    wanted = (piece.strip() for piece in _PIECES.split(plain) if not _UNWANTED.search(piece))
    cleaned = (_BRACKETS.sub(lambda found: found[1] or "", _WEIGHT.sub("", piece)) for piece in wanted)
    return [tag for piece in cleaned if (tag := " ".join(piece.replace("_", " ").split()).strip(" .:"))]


def _is_short(piece: str) -> bool:
    return len(piece) <= LONGEST_TAG_CHARS and len(piece.split()) <= LONGEST_TAG_WORDS


def _is_word(piece: str) -> bool:
    """What else a prompt may hold (quotes, paths, options) helps nobody who looks for pictures."""
    return piece.lstrip("#")[:1].isalnum() and piece.isprintable() and '"' not in piece and ": " not in piece
