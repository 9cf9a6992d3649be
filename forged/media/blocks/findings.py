"""What is gathered from one file, within bounds: whoever reads a container puts it here."""

from __future__ import annotations

import math
from typing import TypeVar

from forged.media.blocks.text import clean
from forged.model.media import MediaInfo, MediaKind, RawBlock

MOST_TEXT_BYTES = 8 << 20
"""Of one text, in UTF-8. ComfyUI's workflows reach some megabytes where a node keeps a picture in them; a prompt has kilobytes."""

MOST_BLOCK_BYTES = 2 * MOST_TEXT_BYTES
"""Of one block before it is decoded: UTF-16 takes twice as much for ASCII."""

MOST_ALL_BYTES = 12 << 20
"""Of all texts together, in UTF-8: one of the largest and something beside it, and an answer of the worker that still has room
for a thumbnail (`worker.limits` allows it 16 MiB)."""

MOST_WORK_BYTES = 64 << 20
"""Read and inflated for one file, whatever comes of it: a tenth of a second. A file whose thousand blocks lead to the same eight
megabytes ends here."""

MOST_TEXTS = 1_000
"""Easy Diffusion writes twenty, a photographer's keywords may be a hundred."""

MOST_PROBLEMS = 20
"""More of them say nothing more."""

MOST_KEY_CHARS = 200
"""Of a text's name. PNG allows 79; what is longer is no name, and is cut."""

N = TypeVar("N", int, float)

_MOST = (1 << 31) - 1
"""Of a width, a height or a number of frames: what PNG allows, and what every database holds."""

_MOST_SECONDS = 1e9
"""Thirty years. What says that it lasts longer says nothing."""


class Enough(Exception):
    """The file wants more than is given to one. Caught by `table.read`; what was found until then stays."""


class Findings:
    """Of one file. Attributes hold what a header says, checked when the `MediaInfo` is made."""

    def __init__(self, kind: MediaKind, format: str) -> None:
        self.kind = kind
        self.format = format
        self.width: int | None = None
        self.height: int | None = None
        self.duration_s: float | None = None
        self.fps: float | None = None
        self.frames: int | None = None
        self._texts: list[RawBlock] = []
        self._problems: list[str] = []
        self._text_bytes = 0
        self._work_bytes = 0

    def charge(self, count: int) -> None:
        """Counts bytes that are read or inflated for this file. Raises Enough."""
        self._work_bytes += count
        if self._work_bytes > MOST_WORK_BYTES:
            raise Enough(f"its texts take more than {MOST_WORK_BYTES} bytes to read")

    def admits(self, place: str, count: int) -> bool:
        """Whether a block of so many bytes is to be read; if so, they are counted. Raises Enough."""
        if count > MOST_BLOCK_BYTES:
            self.problem(f"{named(place)}: {count} bytes are too many for a text")
            return False
        self.charge(count)
        return True

    def text(self, place: str, text: str) -> None:
        """Adds one. An empty one says nothing and is left out; one that is too large is a problem. Raises Enough."""
        text = clean(text)
        size = len(text) if text.isascii() else len(text.encode())
        if size > MOST_TEXT_BYTES or self._text_bytes + size > MOST_ALL_BYTES:
            self.problem(f"{named(place)}: {size} bytes are too many, it is left out")
        elif text:
            if len(self._texts) == MOST_TEXTS:
                raise Enough(f"it has more than {MOST_TEXTS} texts")
            self._text_bytes += size
            self._texts.append(RawBlock(named(place), text))

    def problem(self, words: str) -> None:
        """Something that could not be read."""
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(clean(words)[: 2 * MOST_KEY_CHARS])

    def moving(self, frames: int, duration_s: float) -> None:
        """A picture of several frames. One frame does not move."""
        if frames > 1:
            self.frames = frames
            if duration_s > 0:
                self.duration_s, self.fps = duration_s, frames / duration_s

    def info(self) -> MediaInfo:
        """All of it. Numbers that nobody could mean are unknown."""
        return MediaInfo(
            kind=self.kind,
            format=self.format,
            width=_within(self.width, _MOST),
            height=_within(self.height, _MOST),
            duration_s=_within(self.duration_s, _MOST_SECONDS),
            fps=_within(self.fps, _MOST),
            frames=_within(self.frames, _MOST),
            raw=tuple(self._texts),
            problems=tuple(self._problems),
        )


def named(place: str) -> str:
    """A place that can be carried everywhere."""
    return clean(place)[:MOST_KEY_CHARS]


def _within(number: N | None, most: float) -> N | None:
    return number if number is not None and math.isfinite(number) and 0 < number <= most else None
