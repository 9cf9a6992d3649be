"""Numbered series. ComfyUI and A1111 give a new file the highest number of its series plus one, so removing the newest file makes
the program use its name again. Therefore the newest of each series stays at the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from forged.model.paths import SourcePath

_COMFYUI = re.compile(rb"(?P<prefix>.*)_(?P<number>[0-9]{5,})(?:_|-audio)?\.[^./]+", re.DOTALL)
"""`ComfyUI_00001_.png` (folder_paths.get_save_image_path), `AnimateDiff_00001.mp4`, `AnimateDiff_00001-audio.mp4` (VHS)."""

_A1111 = re.compile(rb"(?P<number>[0-9]{5,})(?:-[^/]*)?\.[^./]+", re.DOTALL)
"""`00042-1234567.png` (modules/images.get_next_sequence_number counts over the whole folder)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file's place in its series. Two files belong to one series when folder and prefix are equal, whatever their extension."""

    series: tuple[bytes, bytes]
    number: int


def place_in_series(path: SourcePath) -> Place | None:
    """Where this name stands in a numbered series; None where it is in none."""
    folder, _, name = path.rpartition(b"/")
    if match := _A1111.fullmatch(name):
        return Place((folder, b""), int(match["number"]))
    if match := _COMFYUI.fullmatch(name):
        return Place((folder, match["prefix"] + b"_"), int(match["number"]))
    return None


@dataclass(slots=True)
class Newest:
    """The highest number seen of each series. Fed with every file that is at the source, it knows which must stay."""

    _highest: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    def see(self, paths: Iterable[SourcePath]) -> None:
        for path in paths:
            place = place_in_series(path)
            if place is not None:
                self._highest[place.series] = max(place.number, self._highest.get(place.series, -1))

    def includes(self, path: SourcePath) -> bool:
        """Whether `path` carries the highest number of its series."""
        place = place_in_series(path)
        return place is not None and place.number >= self._highest.get(place.series, -1)
