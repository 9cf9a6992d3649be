"""What is shipped, built from this checkout, and an environment in which nothing but that is found of forged."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.house.tree import ROOT


@dataclass(frozen=True)
class Built:
    """Source archive and wheel."""

    sdist: Path
    wheel: Path


def build(source: Path, folder: Path, *kinds: str) -> Built:
    """What `python -m build --no-isolation` runs; the other of the two kinds is a path that is not there."""
    options = [option for kind in kinds for option in ("-t", kind)]
    hatchling = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options]
    done = subprocess.run(hatchling, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Built(next(folder.glob("*.tar.gz"), folder / "none"), next(folder.glob("*.whl"), folder / "none"))


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, and the home of a user who has nothing."""

    folder: Path

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of it, far from this checkout."""
        env = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder.parent), **variables}
        program = [str(self.folder / "bin" / command[0]), *command[1:]]
        return subprocess.run(program, cwd=self.folder.parent, env=env, capture_output=True, text=True, timeout=300)

    def python(self, program: str) -> str:
        done = self.run("python", "-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout


def bare(folder: Path, wheel: Path, *, borrowed: bool) -> Environment:
    """Installs the wheel into a new environment.

    `borrowed`: what forged needs is found where the tests have it, without a network. Python reads no .pth file of a folder that
    a .pth file names, so the checkout, which is installed there by one, is not found.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    made = Environment(folder)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install", "-qq", "--no-input"]
    if borrowed:
        pip += ["--no-deps", "--no-index"]
        place = Path(made.python("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        (place / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    else:
        pip += ["-c", str(ROOT / ".ci/constraints.txt")]
    done = subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made
