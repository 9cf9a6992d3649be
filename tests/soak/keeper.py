"""A look at home and at forged's memory whenever forged is dead: what was home stays home, and what is remembered is true."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.ledger import MUTABLE, Ledger
from tests.soak.remembered import Memory, Row
from tests.soak.versions import origin, unmarked, version


@dataclass(frozen=True, slots=True)
class AtHome:
    """A file at home: what it holds, and by what is noticed that somebody touched it."""

    sha256: str
    outside: tuple[int, int, int]


@dataclass
class Keeper:
    """`broken` names each promise that was seen broken, and how."""

    box: Path
    home: Path
    ledger: Ledger
    memory: Memory
    broken: list[str] = field(default_factory=list)
    files: dict[str, AtHome] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    """The owner's own files at home."""
    damaged: set[str] = field(default_factory=set)
    """Files at home that a bad disk cut short; forged is told nothing."""
    deleted: dict[str, str] = field(default_factory=dict)
    """Files at home that the owner deleted, and what they held."""

    def look(self) -> None:
        """Only while no forged runs."""
        self.look_at_home()
        self._memory_is_true(self.memory.rows())
        self.broken += [f"promise 4: held, though nothing was wrong: {why}" for why in self.memory.holds()]

    def look_at_home(self) -> None:
        """At any time."""
        before, self.files = self.files, dict(self._at_home())
        self._nothing_left_home(before)
        for path in self.files.keys() - before.keys():
            self._came(path, self.files[path].sha256)

    def has(self, path: str, sha256: str) -> bool:
        """Whether this content of this path of the box is at home, under its name or beside it.

        A log that goes on beside itself keeps the mark of what it held when it began to.
        """
        names = filter(is_log, self.files) if path == MUTABLE else (path, version(path, sha256))
        return any(name in self.files and self.files[name].sha256 == sha256 for name in names)

    # --- home -------------------------------------------------------------------------------------------------------------

    def _at_home(self) -> Iterator[tuple[str, AtHome]]:
        """Every file but those in forged's own folder; only those that are new or were touched are read."""
        for folder, folders, names in os.walk(self.home):
            if Path(folder) == self.home and ".forged" in folders:
                folders.remove(".forged")
            for name in names:
                file = Path(folder, name)
                path, outside = str(file.relative_to(self.home)), _outside(file)
                known = self.files.get(path)
                is_known = known is not None and known.outside == outside
                yield path, known if known and is_known else AtHome(hashlib.sha256(file.read_bytes()).hexdigest(), outside)

    def _nothing_left_home(self, before: dict[str, AtHome]) -> None:
        for path, was in before.items():
            now = self.files.get(path)
            if is_log(path) or path in self.damaged or self.deleted.get(path) == was.sha256:
                continue
            if now is None:
                self.broken.append(f"promise 2: {path} was deleted at home")
            elif now != was:
                self.broken.append(f"promise 2: {path} was touched at home")

    def _came(self, path: str, sha256: str) -> None:
        if path not in self.owners and not self.ledger.had(came_from(path, sha256), sha256):
            self.broken.append(f"promise 1: {path} came home with a content that it never had ({sha256[:8]})")
        if self.deleted.get(path) == sha256:
            self.broken.append(f"promise 7: {path} was brought back")

    # --- memory -----------------------------------------------------------------------------------------------------------

    def _memory_is_true(self, rows: list[Row]) -> None:
        for row in rows:
            if not is_log(row.home):
                self._is_home(row)
            if row.current and row.at_source == "gone" and inode_of(self.box / row.path) == row.inode:
                self.broken.append(f"promise 4: {row.path} counts as gone, and is at the box")

    def _is_home(self, row: Row) -> None:
        at_home = self.files.get(row.home)
        if row.home in self.damaged or self.deleted.get(row.home) == row.sha256:
            return
        if at_home is None or at_home.sha256 != row.sha256:
            self.broken.append(f"promise 5: {row.home} ({row.sha256[:8]}) is remembered, and not at home")


def came_from(path: str, sha256: str) -> str:
    """The path at the box of what lies at home under this one."""
    return MUTABLE if is_log(path) else origin(path, sha256)


def is_log(path: str) -> bool:
    """The growing log, or its copy beside one that was touched: such a one is what is replaced from then on."""
    return unmarked(path) == MUTABLE


def _outside(file: Path) -> tuple[int, int, int]:
    seen = file.stat()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def inode_of(file: Path) -> int | None:
    """Of what lies there; None where nothing does."""
    try:
        return file.lstat().st_ino
    except FileNotFoundError:
        return None
