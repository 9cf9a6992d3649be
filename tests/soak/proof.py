"""Promise 3, asked once more by somebody else: may this file have been removed at that moment?"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from tests.soak.remembered import Memory, Row
from tests.soak.witness import Gone

PRESERVED = ".important"

COARSE_NS = 50_000_000
"""File times are those of the kernel's last tick, at most 10 ms ago (100 Hz); a busy machine gets some more."""


@dataclass(frozen=True)
class Proof:
    """The copy at home, what is remembered of it, and the cleanup's age. Looked at right after the removal."""

    home: Path
    memory: Memory
    age_s: float

    def missing(self, gone: Gone) -> str:
        """What is missing from the proof; empty = nothing."""
        if gone.path.endswith(PRESERVED):
            return "it is preserved"
        if self._is_young(gone.mtime_ns, gone):
            return f"it was written {(gone.at_ns - gone.mtime_ns) / 1e9:.2f} s before"
        rows = [row for row in self.memory.rows(gone.path) if row.sha256 == gone.sha256]
        if not rows:
            return "nobody remembers this content"
        doubts = [self._doubt(row, gone) for row in rows]
        return "" if "" in doubts else "; ".join(doubts)

    def _is_young(self, moment_ns: int, gone: Gone) -> bool:
        return moment_ns > gone.at_ns + COARSE_NS - self.age_s * 1e9

    def _doubt(self, row: Row, gone: Gone) -> str:
        if self._is_young(row.landed_at_ns, gone):
            return f"it had landed {(gone.at_ns - row.landed_at_ns) / 1e9:.2f} s before"
        try:
            with (self.home / row.home).open("rb") as file:
                seen, sha256 = os.fstat(file.fileno()), hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return f"{row.home} is not at home"
        if sha256 != gone.sha256:
            return f"{row.home} at home holds something else"
        return f"{row.home} came home after it" if seen.st_ctime_ns > gone.at_ns + COARSE_NS else ""
