"""Numbered series: the newest stays, so that its name is not used again."""

from __future__ import annotations

import pytest

from forged.model.paths import source_path
from forged.rules.series import Newest, place_in_series


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (b"ComfyUI_00007_.png", 7),
        (b"sub/My Prefix_00123_.png", 123),
        (b"video/AnimateDiff_00001.mp4", 1),
        (b"AnimateDiff_00001-audio.mp4", 1),
        (b"00042-1234567.png", 42),
        (b"txt2img/00042.png", 42),
        (b"a_100000_.png", 100_000),
        (b"a\nb_00003_.png", 3),
    ],
)
def test_numbers_of_the_programs_are_found(name: bytes, number: int) -> None:
    place = place_in_series(source_path(name))
    assert place is not None
    assert place.number == number


@pytest.mark.parametrize("name", [b"2024-05-01_12-00-00_1234.png", b"a.png", b"grid-0001.png", b"log.html", b"seed_12.png"])
def test_other_names_are_in_no_series(name: bytes) -> None:
    assert place_in_series(source_path(name)) is None


def test_the_newest_of_each_series_stays_whatever_its_extension() -> None:
    names = [b"a_00001_.png", b"a_00002_.png", b"a_00003.mp4", b"b_00001_.png", b"x/a_00009_.png", b"00001-5.png", b"00002-3.png"]
    newest = Newest()
    newest.see(map(source_path, names))
    stays = [name for name in names if newest.includes(source_path(name))]
    assert stays == [b"a_00003.mp4", b"b_00001_.png", b"x/a_00009_.png", b"00002-3.png"]
