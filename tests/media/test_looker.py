"""All that workers do with a file, over the real samples, where they are present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forged.media.base import Found, Opened, Wanted
from forged.media.looker import LOOKER, look
from tests.media.comparing import Sample, differences
from tests.media.test_samples import FILES, SAMPLES, name_of

pytestmark = pytest.mark.skipif(not FILES, reason="the samples live outside the repository")


def seen(sample: Sample) -> Found:
    path = SAMPLES / name_of(sample)
    fd = os.open(path, os.O_RDONLY)
    try:
        return look(Opened(Path(path).name, fd, path.stat().st_size), (), Wanted(metadata=True, thumbnail=True, likeness=True))
    finally:
        os.close(fd)


@pytest.mark.parametrize("sample", FILES, ids=name_of)
def test_no_sample_stumbles_over_a_fault_of_ours(sample: Sample) -> None:
    """What is broken in it is said in words; an exception that nobody foresaw would name its place (`worker.looking.words`)."""
    assert [problem for problem in seen(sample).info.problems if " at " in problem and ".py:" in problem] == []


@pytest.mark.parametrize("sample", [one for one in FILES if "stealth" in name_of(one)], ids=name_of)
def test_a_text_in_the_pixels_is_found_where_they_are_decoded(sample: Sample) -> None:
    assert differences(sample, seen(sample).info.generation) == []


def test_it_is_what_workers_are_told_to_do() -> None:
    assert f"{look.__module__}:{look.__name__}" == LOOKER
