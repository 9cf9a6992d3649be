"""How fast thumbnails are made: `pytest -m campaign tests/media/pictures -s`. Prints, and asserts no time.

On one of two cores (Debian 12, Pillow 13.0, other work beside it), thumbnails a second for 1, 2 and 4 Mpx:
JPEG 85, 47, 52; WebP 30, 20, 10; AVIF 37, 21, 13; PNG 24, 12, 7, where inflating and undoing the filters alone takes 31 ms a Mpx.
The likeness costs 6 to 10 ms a Mpx more.
"""

from __future__ import annotations

import time

import pytest

from forged.media.base import Wanted
from forged.media.pictures import picture, still
from forged.model.media import MediaInfo, MediaKind
from tests.media.pictures.drawing import busy, file_of, saved

SETS: dict[str, dict[str, object]] = {
    "PNG": {}, "JPEG": {"quality": 92}, "WEBP": {"quality": 90}, "AVIF": {"speed": 10},
}  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("side", [1024, 1536, 2048])
def test_thumbnails_a_second_of_the_processor(side: int) -> None:
    for form, options in SETS.items():
        data = saved(busy(1, (side, side)), form, **options)
        for wanted in (Wanted(thumbnail=True), Wanted(thumbnail=True, likeness=True)):
            with file_of(data) as file:
                info = MediaInfo(MediaKind.IMAGE, form.lower(), side, side)
                costs = [cost(lambda: picture.seen(file, info, wanted, lambda *_: None)) for _ in range(8)]  # noqa: B023
            what = "thumbnail and likeness" if wanted.likeness else "thumbnail"
            print(f"{side * side / 1e6:.0f} Mpx {form:4} {what:22} {min(costs) * 1e3:6.1f} ms = {1 / min(costs):5.1f} a second")


@pytest.mark.campaign
@pytest.mark.parametrize("method", [0, 2, 4, 6])
def test_what_the_method_of_webp_costs(method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still, "METHOD", method)
    small = busy(1, (512, 512))
    print(f"method {method}: {min(cost(lambda: still.webp(small)) for _ in range(8)) * 1e3:.1f} ms, {len(still.webp(small))} bytes")


def cost(work: object) -> float:
    """Seconds of the processor."""
    begun = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - begun
