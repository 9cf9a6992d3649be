"""How the tour ends: home compared byte by byte with all that was ever made, and what a newcomer should take away from it."""

from __future__ import annotations

import hashlib
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forged.demo.grounds import AGE, Grounds, Place, all_files
from forged.demo.producer import Made
from forged.demo.programs import Said
from forged.demo.story import Key, Story
from forged.kit.units import format_duration, human_duration, human_size, parse_duration
from forged.model import rpc


@dataclass(frozen=True, slots=True)
class Comparison:
    """Home of one target against the ledger of its box. Paths are relative to it."""

    place: Place
    same: tuple[Path, ...]
    missing: tuple[Path, ...]
    """Made, but not at home."""
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
    said: tuple[Said, ...] = ()
    """What forgectl said near the end."""
    sheet: Path | None = None
    """The contact sheet; None where there is no thumbnail."""

    @property
    def success(self) -> bool:
        """Everything ever made is home, byte for byte, but for the file that was cut, and nothing that the box did not make."""
        return not self.unexplained

    @property
    def unexplained(self) -> list[str]:
        """Files that speak against us."""
        wrong = [f"missing at home: {f}" for one in self.comparisons for f in one.missing]
        wrong += [f"different at home: {f}" for one in self.comparisons for f in one.different]
        return wrong + [f"not from the box: {f}" for one in self.comparisons for f in one.extra]


def compared(place: Place, ledger: Mapping[Key, Made]) -> Comparison:
    """Reads every file at home. The box no longer has all of them, so its ledger says what they were."""
    made = {Path(key.path): one.sha256 for key, one in ledger.items() if key.target == place.target}
    home = {file: sha256(place.home / file) for file in all_files(place.home)}
    return Comparison(
        place,
        same=tuple(file for file in home if made.get(file) == home[file]),
        missing=tuple(file for file in made if file not in home),
        different=tuple(file for file in home if file in made and made[file] != home[file]),
        extra=tuple(file for file in home if file not in made),
    )


def sha256(path: Path) -> str:
    """In hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def told(ending: Ending) -> list[tuple[str, str]]:
    """The ending as labelled lines; an empty label continues the one above."""
    story = ending.story
    rows = [("made", made(story)), ("home", home(ending))]
    if story.median_s is not None and story.worst_s is not None:
        rows.append(("how soon", how_soon(story.median_s, story.worst_s)))
    rows += [("cleanup", text) for text in freed(story)]
    if story.cut is not None:
        rows += [("left there", text) for text in about_the_cut_file(story.cut)]
    rows.append(("again", f"one more sync moved {ending.again.files} files and took {human_duration(ending.again.duration_s)}"))
    if ending.sheet is not None:
        rows.append(("see all", f"{ending.sheet}  (a contact sheet of the thumbnails)"))
    rows += [("wrong", sentence) for sentence in ending.unexplained]
    return merged(rows + where_to_look(ending.grounds) + [("next", f"{typed()} probe ssh://user@your-box:port"), ("next", NEXT)])


def typed() -> str:
    """What a shell here calls `forged`: in a checkout it is on nobody's $PATH."""
    beside = Path(sys.executable).with_name("forged")
    if shutil.which("forged") or not beside.exists():
        return "forged"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


NEXT = "finds the output folders of your own box and prints the [[target]]"


def made(story: Story) -> str:
    counts = ", ".join(f"{story.made[place.target].files} by {place.program}" for place in story.places)
    return f"{story.total_made.files} pictures and films, {human_size(story.total_made.size_bytes)}: {counts}"


def home(ending: Ending) -> str:
    same = sum(len(one.same) for one in ending.comparisons)
    all_home = "all of them" if same == ending.story.total_made.files else f"{same} of them"
    return f"{all_home}, byte for byte: sha256 as made = sha256 at home"


def how_soon(median_s: float, worst_s: float) -> str:
    return f"{human_duration(median_s)} from close to its final name at home (median), at worst {human_duration(worst_s)}"


def freed(story: Story) -> list[str]:
    """What went at the box, and why the rest did not."""
    files, stays = story.removed.files, kept(list(story.cleanups.values()))
    if not files:
        return ["nothing at the box was old enough to go", stays]
    return [f"{files} of them removed at the box, {human_size(story.removed.size_bytes)} freed; each is at home", stays]


def went(answer: rpc.Cleanup) -> str:
    """`23 removed at the box, 5.9 MB freed`."""
    return f"{answer['files_deleted']} removed at the box, {human_size(answer['space_freed_bytes'])} freed"


def kept(answers: Sequence[rpc.Cleanup]) -> str:
    """`12 stay: 9 younger than 3 s, 3 newest of their series`."""
    counts: Counter[str] = Counter()
    for answer in answers:
        counts.update(answer["kept_counts"])
    reasons = ", ".join(f"{count} {KEPT.get(why, why.replace('_', ' '))}" for why, count in counts.most_common())
    total = counts.total()
    return f"{total} {'stays' if total == 1 else 'stay'}: {reasons}" if counts else "nothing stays"


KEPT = {
    "young": f"younger than {format_duration(parse_duration(AGE))}",
    "newest_of_series": "newest of a numbered series",
    "preserved": "preserved (*.important)",
    "batch_full": "in the next run",
}
"""The reasons that come up here, in words (forged.model.removal.KeptBecause)."""


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
