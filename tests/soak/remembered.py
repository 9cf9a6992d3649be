"""What forged remembers, read from its state database beside it: a second pair of eyes that shares no code with the first."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

COLUMNS = "path, superseded, inode, size_bytes, sha256, home, landed_at_ns, at_source"


@dataclass(frozen=True, slots=True)
class Row:
    """One version of one path."""

    path: str
    current: bool
    inode: int | None
    size_bytes: int
    sha256: str
    home: str
    landed_at_ns: int
    at_source: str


class Memory:
    """The database of one daemon, alive or dead. Where there is none yet, nothing is remembered."""

    def __init__(self, state: Path) -> None:
        self._file = state / "forged.db"

    def rows(self, path: str | None = None) -> list[Row]:
        """All versions of all paths, or of one."""
        which = "" if path is None else " WHERE path = ?"
        return [_row(*found) for found in self._ask(f"SELECT {COLUMNS} FROM versions{which}", path)]

    def holds(self) -> list[str]:
        """Why a target is held."""
        return [str(message) for (message,) in self._ask("SELECT CAST(message AS TEXT) FROM holds")]

    def _ask(self, question: str, path: str | None = None) -> list[tuple[object, ...]]:
        if not self._file.exists():
            return []
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(question, () if path is None else (os.fsencode(path),)).fetchall()


def _row(*found: object) -> Row:
    path, superseded, inode, size_bytes, sha256, home, landed_at_ns, at_source = found
    assert isinstance(path, bytes) and isinstance(home, bytes) and isinstance(sha256, bytes)
    assert isinstance(size_bytes, int) and isinstance(landed_at_ns, int)
    assert inode is None or isinstance(inode, int)
    names = os.fsdecode(path), os.fsdecode(home)
    return Row(names[0], superseded == 0, inode, size_bytes, sha256.hex(), names[1], landed_at_ns, str(at_source))
