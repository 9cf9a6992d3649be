"""All real samples, where they are present, through all readers and parsers: what their manifest says of them is found, no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from forged.media.base import Found, Opened, Wanted
from forged.media.looker import look
from tests.media.samples import FILES, SAMPLES, mismatches

pytestmark = pytest.mark.skipif(not FILES, reason="the samples live outside the repository")

EVERYTHING = Wanted(metadata=True, thumbnail=True, likeness=True)


def seen(sample: dict[str, Any], wanted: Wanted = EVERYTHING) -> Found:
    path = SAMPLES / sample["file"]
    fd = os.open(path, os.O_RDONLY)
    try:
        return look(Opened(Path(path).name, fd, path.stat().st_size), (), wanted)
    finally:
        os.close(fd)


def of(check: str) -> list[dict[str, Any]]:
    return [sample for sample in FILES if sample["check"] == check]


@pytest.mark.parametrize("sample", [one for one in of("fields") if not one.get("optional")], ids=lambda one: one["file"])
def test_what_a_sample_says_is_found(sample: dict[str, Any]) -> None:
    found = seen(sample)
    assert list(mismatches(sample["expected"], found.info.generation)) == []
    assert (found.info.width, found.info.height) == tuple(sample.get("pixel_size") or (found.info.width, found.info.height))


@pytest.mark.parametrize("sample", [one for one in of("fields") if one.get("optional")], ids=lambda one: one["file"])
def test_what_may_be_missed_is_not_made_up(sample: dict[str, Any]) -> None:
    made = seen(sample).info.generation
    said = "".join(block.text for block in seen(sample).info.raw)
    for value in (made.prompt, made.seed, made.model) if made is not None else ():
        assert value is None or value.split("\n")[0] in said


@pytest.mark.parametrize("sample", of("none"), ids=lambda one: one["file"])
def test_a_sample_that_says_nothing_says_nothing(sample: dict[str, Any]) -> None:
    assert seen(sample).info.generation is None


@pytest.mark.parametrize("sample", FILES, ids=lambda one: one["file"])
def test_no_sample_stumbles_over_a_fault_of_ours(sample: dict[str, Any]) -> None:
    """What is broken in it is said in words; an exception that nobody foresaw would name its place (`worker.looking.words`)."""
    assert [problem for problem in seen(sample).info.problems if " at " in problem and ".py:" in problem] == []
