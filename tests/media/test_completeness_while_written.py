"""After each single write of a real writer: nothing is called WHOLE before it has its last length and index."""

from __future__ import annotations

import pytest

from forged.model.transfer import Wholeness
from tests.media.judging import verdict
from tests.media.making import Disk, film, noise, sound

FAST = {"movflags": "faststart"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def pictures_by_pillow(form: str) -> Disk:
    disk = Disk()
    noise(200).save(disk, form)
    return disk


WRITERS = {
    "mp4": lambda: film("mp4", "mpeg4", {}, side=128),
    "mp4 faststart": lambda: film("mp4", "mpeg4", FAST, side=128),
    "mp4 in fragments": lambda: film("mp4", "mpeg4", FRAGMENTS, side=128),
    "mov": lambda: film("mov", "mpeg4", {}, side=128),
    "webm": lambda: film("webm", "libvpx", {}, side=128),
    "matroska": lambda: film("matroska", "mpeg4", {}, side=128),
    "gif": lambda: film("gif", "gif", {}, side=128),
    "opus": lambda: sound("opus", "libopus"),
    "flac": lambda: sound("flac", "flac"),
    "mp3": lambda: sound("mp3", "libmp3lame"),
    "m4a": lambda: sound("ipod", "aac"),
    "wav": lambda: sound("wav", "pcm_s16le"),
    "png": lambda: pictures_by_pillow("PNG"),
    "jpeg": lambda: pictures_by_pillow("JPEG"),
    "webp": lambda: pictures_by_pillow("WEBP"),
}


@pytest.mark.parametrize("writer", sorted(WRITERS))
def test_a_file_is_whole_only_after_the_last_write(writer: str) -> None:
    states = WRITERS[writer]().states
    verdicts = [verdict(state) for state in states if state != states[-1]]
    assert Wholeness.WHOLE not in verdicts
    assert verdict(states[-1]) is Wholeness.WHOLE


@pytest.mark.parametrize("form", ["apng", "avi"])
def test_these_writers_correct_a_count_of_frames_after_everything_else(form: str) -> None:
    """A gap that is known: for an instant the file has its last length and looks whole. The quiet time covers it."""
    states = film(form, {"apng": "apng", "avi": "mpeg4"}[form], {}, side=128).states
    early = [state for state in states if verdict(state) is Wholeness.WHOLE]
    assert early[0] != states[-1]
    assert {len(state) for state in early} == {len(states[-1])}
    assert len(early) <= 3
