"""What is brought home: the data sets, how they are made, and how a copy is proven to be one."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

SEED = 4
"""Sizes and shapes are the same in every race; what is inside comes from urandom, so that nobody can compress it or knows it."""

MIB = 2**20
EMPTY = hashlib.sha256().digest()

FOLDERS_A_LEVEL = 10
"""The trees are of this width, as deep as they have to be for `FILES_A_FOLDER` files in each folder."""
FILES_A_FOLDER = 100

CHANGED_SHARE = 0.05


class Then(Enum):
    """What is timed: the first copy, or a second one, after this has happened at the source."""

    FIRST = "the first copy"
    UNCHANGED = "a second one, with nothing changed"
    CHANGED = "a second one, with 5% of the files changed"


@dataclass(frozen=True)
class DataSet:
    """One row of the report. Sets of the same `files` share them."""

    name: str
    files: str
    told: str
    then: Then = Then.FIRST


SETS = (
    DataSet("many", "many", "2,000 files of 200 to 900 KB"),
    DataSet("large", "large", "one file of 1 GiB"),
    DataSet("tiny", "tiny", "10,000 files of 8 KB"),
    DataSet("tree", "tree", "100,000 empty files in 1,000 nested folders"),
    DataSet("rescan", "tree", "the same 100,000 files again, nothing changed", Then.UNCHANGED),
    DataSet("changed", "many", "the 2,000 files again, 5% of them changed", Then.CHANGED),
    DataSet("lossy", "lossy", "64 MB in 116 files of 200 to 900 KB"),
    DataSet("million", "million", "1,000,000 empty files in 10,000 nested folders"),
    DataSet("handful", "handful", "20 files of 8 KB"),
)


def named(name: str) -> DataSet:
    """KeyError for a name that no set has."""
    return {data.name: data for data in SETS}[name]


def pictures(count: int) -> Callable[[Path], None]:
    """Files of 200 to 900 KB, as image generators write them."""
    return lambda root: flat(root, (random.Random(SEED + n).randrange(200_000, 900_000) for n in range(count)))


def equal(count: int, size_bytes: int) -> Callable[[Path], None]:
    return lambda root: flat(root, (size_bytes for _ in range(count)))


def flat(root: Path, sizes: Iterator[int]) -> None:
    """In ten folders, in turn."""
    for n in range(10):
        (root / f"folder{n}").mkdir(parents=True)
    for n, size_bytes in enumerate(sizes):
        write(root / f"folder{n % 10}" / f"{n:05}.png", size_bytes)


def write(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size_bytes, MIB):
            file.write(os.urandom(min(MIB, size_bytes - start)))


def empty(count: int) -> Callable[[Path], None]:
    """Empty files in nested folders."""
    return lambda root: grow(os.fsencode(root), -(-count // FILES_A_FOLDER), count)


def grow(root: bytes, folders: int, files: int) -> None:
    """Folder n lies in folder (n-1)/10, so each level has ten times the folders of the one above."""
    places: list[bytes] = []
    for n in range(folders):
        above = places[(n - 1) // FOLDERS_A_LEVEL] if n else root
        places.append(os.path.join(above, b"folder%d" % n))
        os.makedirs(places[-1])
    for n in range(files):
        os.close(os.open(os.path.join(places[n % folders], b"picture-%07d.png" % n), os.O_CREAT | os.O_WRONLY, 0o644))


MAKERS: dict[str, Callable[[Path], None]] = {
    "many": pictures(2_000),
    "large": equal(1, 1024 * MIB),
    "tiny": equal(10_000, 8_000),
    "tree": empty(100_000),
    "lossy": pictures(116),
    "million": empty(1_000_000),
    "handful": equal(20, 8_000),
}

WRITTEN_NS = 1_700_000_000_000_000_000
"""When all files were written, as far as anyone can see: long ago."""


@dataclass
class Files:
    """Made files of one kind, and what is known of them. They lie in `parked` but for the time of a race."""

    parked: Path
    contents: dict[bytes, bytes] = field(default_factory=dict)
    """Relative path to sha256."""

    @classmethod
    def make(cls, kind: str, parked: Path) -> Files:
        MAKERS[kind](parked)
        made = cls(parked)
        made.contents = contents(parked)
        for path in made.contents:
            os.utime(os.path.join(os.fsencode(parked), path), ns=(WRITTEN_NS, WRITTEN_NS))
        return made

    @contextmanager
    def at(self, slot: Path) -> Iterator[Path]:
        """While the block lasts, all of them are in a folder of `slot`: they appear there in one step, and vanish so."""
        place = slot / "data"
        self.parked.rename(place)
        try:
            yield place
        finally:
            place.rename(self.parked)

    def change(self, place: Path) -> None:
        """Gives each twentieth file a new content of the same size."""
        changed = sorted(self.contents)[:: round(1 / CHANGED_SHARE)]
        for path in changed:
            name = Path(os.fsdecode(os.path.join(os.fsencode(place), path)))
            write(name, name.stat().st_size)
            self.contents[path] = digest(os.fsencode(name))

    def missing(self, home: Path, then: Then) -> int:
        """How many of them have no true copy below `home`/data. forged keeps both versions of a file that has changed, the new one
        beside the old, so then the content may have any name."""
        copied = contents(home / "data")
        if then is Then.CHANGED:
            return len(set(self.contents.values()) - set(copied.values()))
        return sum(copied.get(path) != sha256 for path, sha256 in self.contents.items())


def contents(root: Path) -> dict[bytes, bytes]:
    """Relative path to sha256 of every file below `root`."""
    top = os.fsencode(root)
    found: dict[bytes, bytes] = {}
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            found[path[len(top) + 1 :]] = digest(path)
    return found


def digest(path: bytes) -> bytes:
    if not os.stat(path).st_size:
        return EMPTY
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
