"""Tags are the words of a list: without weights and brackets, and none of a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.media.generation import tags as tagging
from forged.media.generation.tags import tags
from forged.model.media import Generation


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("1girl, solo, hatsune_miku", ("1girl", "solo", "hatsune miku")),
        ("(masterpiece:1.2), [[blurry]], {best quality}, 1.3::cat ears::", ("masterpiece", "blurry", "best quality", "cat ears")),
        (r"miku \(vocaloid\), <lora:detail:0.8> cat BREAK dog, cat", ("miku (vocaloid)", "cat", "dog")),
        ("cat, (dog:-1), -0.8::feet::, [bird:0.5]", ("cat", "bird")),
        ('cat, -execute, @/etc/passwd, a "sign", seed: 1, #one, 2girls', ("cat", "#one", "2girls")),
        ("a cat, a dog,\na sign that says 12:30", ("a cat", "a dog", "a sign that says 12:30")),
        ("A woman walks slowly through the wide and empty streets of a town, while the sun goes down behind the hills.", ()),
        ("cat", ()),
        ("", ()),
    ],
)
def test_lists_become_tags_and_sentences_do_not(prompt: str, expected: tuple[str, ...]) -> None:
    assert tags(Generation("x", prompt=prompt)) == expected


def test_without_a_prompt_there_are_none() -> None:
    assert tags(Generation("x")) == ()


@given(st.text(max_size=500))
def test_each_tag_is_short_printable_and_there_once(prompt: str) -> None:
    found = tags(Generation("x", prompt=prompt))
    assert len(set(found)) == len(found) <= tagging.MOST_TAGS
    for tag in found:
        assert tag == tag.strip() != ""
        assert tag.isprintable() and len(tag) <= tagging.LONGEST_TAG_CHARS


@pytest.mark.parametrize("piece", ["<", "((((", "a:1.2", ",", "BREAK ", "1::"])
def test_hostile_lengths_take_time_in_proportion(piece: str) -> None:
    tags(Generation("x", prompt=piece * 500_000))
