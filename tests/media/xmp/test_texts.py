"""Any text at all, through the real exiftool and back: nothing is lost, cut, obeyed or expanded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from forged.kit.clock import SystemClock
from forged.media.xmp import fields
from forged.media.xmp.fields import DESCRIPTION, LORAS, clean
from forged.media.xmp.reading import read
from forged.media.xmp.sidecars import ExifToolSidecars
from forged.model.media import Lora
from tests.media.xmp.making import EXIFTOOL, about, tried, values, written

pytestmark = pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")

ORDERS = [
    "-execute",
    "<=",
    "#",
    "&#10;",
    "&lt;",
    "&amp;",
    "\x1f",
    "=",
    "+=",
    "^=",
    "{ready",
    "${now}",
    "@",
    "||",
    ";",
    "[*]",
    " ",
    "\n",
    "\r",
    "\t",
]
TEXTS = st.lists(st.sampled_from(ORDERS) | st.text(max_size=6), max_size=12).map("".join)


class Loop:
    """One exiftool for all examples, in a loop of their own."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.writer = ExifToolSidecars(folder / "xmp", SystemClock())

    def written(self, text: str, names: Sequence[str]) -> bytes:
        """Once; and the second time nothing changes."""
        subject = about(text, negative_prompt=text, model=text, loras=tuple(Lora(name) for name in names))
        content = self.loop.run_until_complete(written(self.writer, subject))
        assert self.loop.run_until_complete(tried(self.writer, subject, content)) is None
        return content


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    one = Loop(tmp_path_factory.mktemp("texts"))
    yield one
    one.loop.run_until_complete(one.writer.aclose())
    one.loop.close()


@given(TEXTS, st.lists(TEXTS, max_size=4))
@example("pretty cat\n-XMP-dc:Title<=/etc/passwd", ["<x", "=y", "\x1f", "a\x1fb"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(loop: Loop, text: str, names: list[str]) -> None:
    content = loop.written(text, names)
    expected = clean(text)
    said = [expected] if expected.strip() else []
    assert values(content, DESCRIPTION) == said
    assert sorted(values(content, LORAS)) == sorted(one for one in map(clean, names) if one.strip())
    known = {prop.name for prop in fields.PROPERTIES}
    assert set(read(content).values) <= known
