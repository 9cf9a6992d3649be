"""How the tour ends: both ends compared byte by byte, and what a newcomer should take away from it."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forged.demo.grounds import SETTLE, Grounds, Place, all_files
from forged.demo.producer import Made
from forged.demo.story import Story
from forged.kit.units import human_duration, human_size
from forged.model.errors import ForgedError


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both ends of one target. Paths are relative to it."""

    place: Place
    same: tuple[Path, ...]
    missing: tuple[Path, ...]
    """Only on the box."""
    different: tuple[Path, ...]
    extra: tuple[Path, ...]
    """Only at home."""


@dataclass(frozen=True, slots=True)
class Again:
    """The last sync, when nothing was new any more."""

    files: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Ending:
    """Everything there is to say."""

    story: Story
    grounds: Grounds
    comparisons: tuple[Comparison, ...]
    again: Again
    error: ForgedError | None = None

    @property
    def success(self) -> bool:
        """Everything is home, byte for byte, but for the file that was cut, and nothing that is not on the box."""
        return self.error is None and not self.unexplained

    @property
    def unexplained(self) -> list[str]:
        """Files that speak against us."""
        cut = self.grounds.box / self.story.cut.path if self.story.cut else None
        wrong = [f"missing at home: {f}" for one in self.comparisons for f in one.missing if one.place.there / f != cut]
        wrong += [f"different at home: {f}" for one in self.comparisons for f in one.different]
        return wrong + [f"not from the box: {f}" for one in self.comparisons for f in one.extra]


def compared(place: Place) -> Comparison:
    """Reads every file at both ends."""
    there, home = all_files(place.there), all_files(place.home)
    both = [file for file in there if file in set(home)]
    equal = {file for file in both if sha256(place.there / file) == sha256(place.home / file)}
    return Comparison(
        place,
        same=tuple(file for file in both if file in equal),
        missing=tuple(file for file in there if file not in set(both)),
        different=tuple(file for file in both if file not in equal),
        extra=tuple(file for file in home if file not in set(both)),
    )


def sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def told(ending: Ending) -> list[tuple[str, str]]:
    """The ending as labelled lines; an empty label continues the one above."""
    story = ending.story
    rows = [("made", made(story)), ("home", home(ending))]
    if story.median_s is not None:
        rows += [("how soon", text) for text in how_soon(story.median_s, max(story.latencies_s))]
    if story.cut is not None:
        rows += [("left there", text) for text in about_the_cut_file(story.cut)]
    rows.append(("again", f"one more sync moved {ending.again.files} files and took {human_duration(ending.again.duration_s)}"))
    rows += [("wrong", sentence) for sentence in ending.unexplained]
    return merged(rows + where_to_look(ending.grounds) + [("next", "forged probe ssh://user@your-box:port"), ("next", NEXT)])


NEXT = "finds the output folders of your own box and prints the [[target]]"


def made(story: Story) -> str:
    counts = ", ".join(f"{story.made[place.target].files} by {place.program}" for place in story.places)
    return f"{story.total_made.files} pictures and films, {human_size(story.total_made.size_bytes)}: {counts}"


def home(ending: Ending) -> str:
    same = sum(len(one.same) for one in ending.comparisons)
    all_home = "all of them" if same == ending.story.total_made.files else f"{same} of them"
    return f"{all_home}, byte for byte: sha256 compared at both ends"


def how_soon(median_s: float, slowest_s: float) -> list[str]:
    """With the part that is waiting on purpose."""
    return [
        f"{human_duration(median_s)} after the last byte (median), the slowest {human_duration(slowest_s)}",
        f"({SETTLE} of it is `settle`: so long a file must stay unchanged)",
    ]


def about_the_cut_file(cut: Made) -> list[str]:
    """Why it is not home."""
    return [Path(cut.path).name, *textwrap.wrap(CUT, TEXT_COLUMNS)]


CUT = (
    "The box was switched off while it wrote this picture: its end is missing. forged saw that, and keeps it out of your "
    "library. Unchanged for settle_max (10 min), it would come home as well, marked incomplete."
)

TEXT_COLUMNS = 64
"""What fits beside the labels in 80 columns. Paths are never broken, so that they can be copied."""


def where_to_look(grounds: Grounds) -> list[tuple[str, str]]:
    pictures = next((file.parent for place in grounds.places for file in place.home.rglob("*.png")), grounds.home)
    return [("look at", str(pictures)), ("look at", f"{grounds.config_file}  (what it was told)")]


def merged(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A label that repeats is said once."""
    return [("" if i and rows[i - 1][0] == label else label, text) for i, (label, text) in enumerate(rows)]
