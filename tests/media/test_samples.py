"""All real samples, where they are present: what their manifest says that they say is what is read, and nothing is made up."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from forged.media.blocks.table import read
from forged.media.generation.table import generation_of
from forged.model.media import MediaInfo
from tests.media.comparing import Sample, differences, invented

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
MANIFEST = SAMPLES / "manifest.json"
FILES = json.loads(MANIFEST.read_bytes())["files"] if MANIFEST.exists() else []

MIN_SHARE = 0.98
"""Of the files with expected fields that have to match in every one."""

pytestmark = pytest.mark.skipif(not FILES, reason="the samples live outside the repository")


def checked(kind: str, optional: bool = False) -> list[Sample]:
    return [sample for sample in FILES if sample["check"] == kind and sample.get("optional", False) is optional]


def name_of(sample: Sample) -> str:
    return str(sample["file"])


def info_of(sample: Sample) -> MediaInfo:
    path = SAMPLES / name_of(sample)
    fd = os.open(path, os.O_RDONLY)
    try:
        return read(fd, path.stat().st_size)
    finally:
        os.close(fd)


@pytest.mark.parametrize("sample", checked("fields"), ids=name_of)
def test_a_sample_says_what_its_manifest_expects(sample: Sample) -> None:
    assert differences(sample, generation_of(info_of(sample).raw)) == []


def test_nearly_all_samples_match_in_every_field() -> None:
    samples = checked("fields")
    wrong = [name_of(sample) for sample in samples if differences(sample, generation_of(info_of(sample).raw))]
    assert len(wrong) <= (1 - MIN_SHARE) * len(samples), wrong


@pytest.mark.parametrize("sample", [*checked("none"), *checked("none", optional=True)], ids=name_of)
def test_where_nothing_was_generated_nothing_is_reported(sample: Sample) -> None:
    assert generation_of(info_of(sample).raw) is None


@pytest.mark.parametrize("sample", FILES, ids=name_of)
def test_nothing_is_made_up(sample: Sample) -> None:
    info = info_of(sample)
    made = generation_of(info.raw)
    if made is not None:
        assert invented(made, info.raw) == []
        assert set(made.origins.values()) <= {block.place for block in info.raw}


@pytest.mark.parametrize("sample", [sample for sample in FILES if sample.get("pixel_size")], ids=name_of)
def test_pixels_are_counted_by_the_header(sample: Sample) -> None:
    info = info_of(sample)
    assert [info.width, info.height] == sample["pixel_size"]
