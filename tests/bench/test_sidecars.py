"""How many sidecars a second, by the exiftool that is installed: new ones, unchanged ones, and ones that others have edited."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from forged.media.xmp.sidecars import ExifToolSidecars
from forged.model.media import Lora, MediaInfo
from tests.media.xmp.making import EXIFTOOL, about, tried, writing

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.timeout(600),
    pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed"),
]

FILES = 500

TAGS = ", ".join(f"a tag of picture {number}" for number in range(12))


def picture(number: int) -> MediaInfo:
    """With a prompt of 1.4 kB, a dozen tags, and every field that a generator names."""
    return about(
        f"{TAGS}, {number}, " + "masterpiece and best quality, " * 36,
        version="0.3.1",
        negative_prompt="blurry, " * 40,
        seed=str(2**64 - 1 - number),
        steps=20,
        cfg=4.5,
        sampler="euler",
        scheduler="normal",
        model="a-model.safetensors",
        model_hash="c0d1e2f3",
        width=512,
        height=768,
        loras=(Lora("one", 0.8), Lora("two")),
    )


async def rendered(
    writer: ExifToolSidecars, existing: Sequence[bytes | None], first: int
) -> tuple[list[bytes | str | None], float]:
    began_s = time.perf_counter()
    done = [await tried(writer, picture(first + number), one) for number, one in enumerate(existing)]
    return done, len(existing) / (time.perf_counter() - began_s)


async def longest_pause_s(until: asyncio.Event) -> float:
    """How long the loop was not to be had, at most."""
    longest = 0.0
    while not until.is_set():
        began_s = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - began_s - 0.001)
    return longest


async def test_sidecars_a_second(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        await writer.standing()
        assert writer._tool is not None
        process = writer._tool._child()
        assert process is not None
        exiftool = psutil.Process(process.pid)
        ended = asyncio.Event()
        pauses = asyncio.create_task(longest_pause_s(ended))
        before = exiftool.cpu_times()
        new, new_rate = await rendered(writer, [None] * FILES, 0)
        after = exiftool.cpu_times()
        contents = [one for one in new if isinstance(one, bytes)]
        same, same_rate = await rendered(writer, contents, 0)
        changed, changed_rate = await rendered(writer, contents, 1)
        ended.set()
        pause_s = await pauses
    assert len(contents) == FILES
    assert set(same) == {None}
    assert all(isinstance(one, bytes) for one in changed)
    figures = {
        "exiftool": writer.version,
        "new_a_second": round(new_rate, 1),
        "unchanged_a_second": round(same_rate, 1),
        "changed_a_second": round(changed_rate, 1),
        "exiftool_cpu_ms_each": round((after.user + after.system - before.user - before.system) / FILES * 1e3, 2),
        "bytes_each": round(statistics.fmean(map(len, contents))),
        "loop_longest_pause_ms": round(pause_s * 1e3, 1),
    }
    print(json.dumps(figures))
