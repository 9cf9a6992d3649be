"""All real samples, where they are present: what their manifest calls complete is WHOLE, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forged.model.transfer import Wholeness
from tests.media.judging import Memory, verdict

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
MANIFEST = SAMPLES / "manifest.json"
FILES = json.loads(MANIFEST.read_bytes())["files"] if MANIFEST.exists() else []

pytestmark = pytest.mark.skipif(not FILES, reason="the samples live outside the repository")


@pytest.mark.parametrize("sample", FILES, ids=lambda sample: sample["file"])
def test_a_sample_is_judged_as_its_manifest_says(sample: dict[str, object]) -> None:
    data = (SAMPLES / str(sample["file"])).read_bytes()
    expected = Wholeness.WHOLE if sample["complete"] else Wholeness.UNKNOWN if sample["format"] == "other" else Wholeness.BROKEN
    assert verdict(data) is expected


@pytest.mark.parametrize("sample", [s for s in FILES if s["complete"] and "trailing" not in s["file"]], ids=lambda s: s["file"])
def test_a_sample_that_is_cut_is_not_whole(sample: dict[str, object]) -> None:
    data = (SAMPLES / str(sample["file"])).read_bytes()
    size = len(data)
    cuts = {
        *range(1, 64),
        *(size * percent // 100 for percent in range(1, 100)),
        *range(size - 64, size),
        size - 65_536,
        size - 4_096,
    }
    with Memory(data) as memory:
        assert [cut for cut in cuts if 0 < cut < size and memory.cut_at(cut) is Wholeness.WHOLE] == []
