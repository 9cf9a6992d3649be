"""Disks that fail or linger, without a special disk: a library between a program and its system calls, made of faulty.c.

The program must be linked to the C library at run time, as every usual Python is.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

HALF = -1
"""In place of an errno: a write takes only half of what it was given, as it may near the end of a disk (write(2))."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to so many in a hundred calls of one kind below `path`: they linger, then fail, if there is an errno.

    `op`: write, read, fsync, rename, link, noreplace (a rename that must not overwrite). The path itself counts as below.
    """

    op: str
    path: Path
    error: int = errno.EIO
    percent: int = 100
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.op} {self.percent} {self.error} {round(self.delay_s * 1e6)} {self.path}"


class Shim:
    """Rules for the programs that are started `within` it; they may change at any time."""

    def __init__(self, folder: Path) -> None:
        """Compiles the library into `folder`; skips the test where that cannot be done."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler here (apt install gcc libc6-dev)")
        self._library, self._file = folder / "faulty.so", folder / "faults"
        source = Path(__file__).with_suffix(".c")
        made = [compiler, "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"]
        if (done := subprocess.run(made, capture_output=True, text=True, check=False)).returncode != 0:
            pytest.skip(f"the shim does not compile here: {done.stderr.strip().splitlines()[:1]}")
        self._rules: list[Rule] = []
        self._write()

    def within(self, command: list[str]) -> list[str]:
        """A command that becomes this one, behind the shim."""
        return ["env", f"LD_PRELOAD={self._library}", f"FORGED_FAULTS={self._file}", *command]

    def add(self, *rules: Rule) -> None:
        """From now on these hold, too; of several for one call the first that strikes counts."""
        self._rules += rules
        self._write()

    def remove(self, *rules: Rule) -> None:
        """These hold no longer."""
        self._rules = [rule for rule in self._rules if rule not in rules]
        self._write()

    def _write(self) -> None:
        """Renamed into place, so that nobody reads half of it."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text("".join(f"{rule}\n" for rule in self._rules))
        fresh.replace(self._file)
