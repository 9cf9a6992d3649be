"""All real samples, where they are present: the size that their manifest says, and every text that it expects to find."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.media.blocks.stealth import stealth_text
from forged.media.blocks.table import read
from forged.model.media import MediaInfo, MediaKind

PLACES = [folder / "shared" / "samples" for folder in Path(__file__).parents]
"""Beside the checkout, or beside what holds several of them."""

SAMPLES = next((place for place in PLACES if place.is_dir()), PLACES[-1])
MANIFEST = SAMPLES / "manifest.json"
FILES = json.loads(MANIFEST.read_bytes())["files"] if MANIFEST.exists() else []

pytestmark = pytest.mark.skipif(not FILES, reason="the samples live outside the repository")

FORMATS = {"ogg-opus": "opus", "other": ""}


def looked_into(sample: dict[str, object]) -> MediaInfo:
    with (SAMPLES / str(sample["file"])).open("rb") as file:
        return read(file.fileno(), os.fstat(file.fileno()).st_size)


@pytest.mark.parametrize("sample", FILES, ids=lambda sample: sample["file"])
def test_what_a_header_says(sample: dict[str, object]) -> None:
    info = looked_into(sample)
    assert info.format == FORMATS.get(str(sample["format"]), sample["format"])
    assert (info.kind is MediaKind.OTHER) is (sample["format"] == "other")
    if sample.get("pixel_size"):
        assert [info.width, info.height] == sample["pixel_size"]


@pytest.mark.parametrize("sample", [sample for sample in FILES if sample["check"] == "fields"], ids=lambda sample: sample["file"])
def test_the_texts_hold_what_is_expected_of_them(sample: dict[str, object]) -> None:
    info = looked_into(sample)
    texts = [block.text for block in info.raw] + hidden(sample)
    joined = squeezed("\n".join(texts))
    expected = sample["expected"]
    assert isinstance(expected, dict)
    missing = [text for text in wanted(expected) if squeezed(text) not in joined]
    assert missing == []


def wanted(expected: dict[str, object]) -> Iterator[str]:
    """Prompts word by word: a graph may hold them in pieces."""
    for name in ("prompt", "negative_prompt", "seed", "model"):
        value = expected.get(name)
        if isinstance(value, str):
            yield from re.findall(r"\w{3,}", value)


def squeezed(text: str) -> str:
    """Without what JSON in JSON puts between the characters."""
    for _ in range(3):
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text).replace('\\"', '"').replace("\\\\", "\\")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").casefold()


def hidden(sample: dict[str, object]) -> list[str]:
    if "stealth" not in str(sample["file"]):
        return []
    from PIL import Image

    with Image.open(SAMPLES / str(sample["file"])) as image:
        text = stealth_text(*image.size, image.convert("RGBA").tobytes())
    return [text] if text else []
