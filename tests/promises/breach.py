"""A promise deliberately broken: a small change of the code, and the tests that have to notice it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

COPIED = ("forged", "tests", "systemd", "pyproject.toml", "forged.toml.example")
"""What the tests need of a checkout; the rest has nothing to do with how forged behaves."""

GREEN, RED = 0, 1
"""pytest's exit statuses (docs.pytest.org, reference: exit codes). What cannot even be collected is no noticed breach."""

LONGEST_RUN_S = 900
"""All of the named tests, on a machine that has other things to do."""


class CannotBreak(Exception):
    """The text to be changed is not there exactly once: the code has moved on, and the table has to follow."""


@dataclass(frozen=True, slots=True)
class Breach:
    """One way of breaking one promise; README numbers them."""

    promise: int
    breaks: str
    """What does not hold any more, in a few words."""
    file: str
    old: str
    new: str
    noticed_by: tuple[str, ...]
    """Tests, or files of tests, some of which must turn red."""

    @property
    def name(self) -> str:
        return f"{self.promise}: {self.breaks}"

    def broken(self, text: str) -> str:
        """The file's text with the breach in it. Raises CannotBreak."""
        if text.count(self.old) != 1:
            raise CannotBreak(f"{self.name}: in {self.file} this is found {text.count(self.old)} times:\n{self.old}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """A part of a promise that no code keeps yet, so that nothing can be broken; and the issue that builds it."""

    promise: int
    part: str
    issue: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """How tests ended, and the ids of those that failed."""

    status: int
    red: frozenset[str]
    output: str

    def is_red(self, noticing: str) -> bool:
        """Whether this test failed, or one of this file, or one of its cases."""
        return any(red == noticing or red.startswith((f"{noticing}::", f"{noticing}[")) for red in self.red)


class Checkout:
    """A copy of this checkout in which promises may be broken."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, place)

    @contextmanager
    def breaking(self, breach: Breach) -> Iterator[None]:
        """The breach is in the code of this copy for as long as the block runs. Raises CannotBreak."""
        path = self.place / breach.file
        whole = path.read_text()
        self._write(path, breach.broken(whole))
        try:
            yield
        finally:
            self._write(path, whole)

    def _write(self, path: Path, text: str) -> None:
        """Compiled code is known by whole seconds and size (PEP 552), which two versions of one file may share here."""
        path.write_text(text)
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def run(self, tests: Sequence[str]) -> Verdict:
        """Runs these tests over the code of this copy, and not over an installed one."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "-rfE", *tests]
        env = {**os.environ, "PYTHONPATH": str(self.place)}
        done = subprocess.run(command, cwd=self.place, env=env, capture_output=True, text=True, timeout=LONGEST_RUN_S)
        red = re.findall(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
        return Verdict(done.returncode, frozenset(red), done.stdout + done.stderr)


def place_of(noticing: str) -> tuple[Path, str]:
    """The file of a test's id, and the function's name; empty where the whole file is meant."""
    file, _, name = noticing.partition("::")
    return ROOT / file, name.split("::")[-1].split("[")[0]
