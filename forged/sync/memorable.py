"""Whether the memory can hold a file: asked before anything moves, since what cannot be remembered would come again and again."""

from __future__ import annotations

import os

from forged.model.files import Entry, Problem, ProblemKind
from forged.rules.names import MARK_BYTES
from forged.sync.doors import Doors
from forged.sync.home import placement

HANDLER_BYTES = 255
"""Beside a file's key in the outbox stands the name of a handler that set its event aside: more than any name has."""


class Memorable:
    """The bound of one target's store, for its files."""

    def __init__(self, doors: Doors) -> None:
        self._most_bytes = doors.store.most_name_bytes
        self._manifest_bytes = len(doors.target.manifest.encode())
        self._dest = os.fsencode(doors.target.home.dest)
        self._placement = placement(doors.target)

    @property
    def bounded(self) -> bool:
        return self._most_bytes is not None

    def refusal(self, entry: Entry) -> Problem | None:
        """None = it can be remembered, also as a version with the longest mark."""
        if self._most_bytes is None or (longest_bytes := self._longest_bytes(entry)) <= self._most_bytes:
            return None
        said = f"its path is too long for the state database: {longest_bytes} bytes with its place at home, of {self._most_bytes}"
        return Problem(entry.path, ProblemKind.BAD_NAME, f"{said}; exclude it, or keep the state in SQLite")

    def _longest_bytes(self, entry: Entry) -> int:
        home = self._placement.place(entry.path, entry.stat.mtime_ns)
        row_bytes = self._manifest_bytes + len(entry.path) + len(home)
        # As the store writes keys: a byte that is no UTF-8 takes three there.
        key = os.path.join(self._dest, home).decode("utf-8", "surrogateescape")
        return MARK_BYTES + max(row_bytes, HANDLER_BYTES + len(key.encode("utf-8", "surrogatepass")))
