"""What the house checks look at: the files of this checkout, as git sees them."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "forged"


@functools.cache
def checked_in() -> tuple[Path, ...]:
    """Every file that is tracked or about to be, relative to the root. Skips where this is no git checkout (a tarball)."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    # safe.directory: a checkout that belongs to somebody else is only read here, and its hooks do not run.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = (Path(name.decode()) for name in listing.stdout.split(b"\0") if name)
    return tuple(sorted({name for name in names if (ROOT / name).is_file()}))


def modules() -> list[Path]:
    """The Python modules of the package, absolute."""
    return sorted(PACKAGE.rglob("*.py"))


def shown(path: Path) -> str:
    """A path as a person would type it at the root."""
    return path.relative_to(ROOT).as_posix()
