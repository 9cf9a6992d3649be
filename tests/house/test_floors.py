"""The law of the floors holds, and would notice a breach."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import PACKAGE, ROOT

BREACHES = {
    "a package that no floor foresees": ("unplanned/__init__.py", "", "unplanned"),
    "a lower floor that sees a higher one": ("model/upwards.py", "import forged.sync", "forged.model.upwards -> forged.sync"),
    "two doors that see each other": ("sources/sideways.py", "import forged.store", "forged.sources.sideways -> forged.store"),
    "a rule that reads the clock": ("rules/impure.py", "import time", "forged.rules.impure -> time"),
    "a second room that speaks SSH": ("sync/impolite.py", "import asyncssh", "forged.sync.impolite -> asyncssh"),
    "a second room that speaks SQL": ("sync/impolite.py", "import sqlalchemy", "forged.sync.impolite -> sqlalchemy"),
    "a second room with a database driver": ("daemon/impolite.py", "import aiosqlite", "forged.daemon.impolite -> aiosqlite"),
    "a second way out over HTTP": ("daemon/impolite.py", "import httpx", "forged.daemon.impolite -> httpx"),
    "a source that asks over HTTP": ("sources/impolite.py", "import forged.kit.http", "forged.sources.impolite -> forged.kit.http"),
    "a second timetable": ("daemon/impolite.py", "import apscheduler", "forged.daemon.impolite -> apscheduler"),
    "a second place that knows the order": ("daemon/impolite.py", "import forged.sync.land", "daemon.impolite -> forged.sync.land"),
    "a second place that picks": ("demo/impolite.py", "import forged.sources.ssh", "forged.demo.impolite -> forged.sources.ssh"),
    "a daemon that draws": ("daemon/impolite.py", "import rich", "forged.daemon.impolite -> rich"),
    "a heavy front door": ("__init__.py", "import pydantic", "forged -> pydantic"),
}


def import_contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter's own command over the package in this folder, not over an installed one."""
    command = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the house that may be damaged."""
    shutil.copytree(PACKAGE, tmp_path / "forged", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_import_contracts_hold() -> None:
    result = import_contracts(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("breach", BREACHES)
def test_the_import_contracts_notice(breach: str, house: Path) -> None:
    name, line, told = BREACHES[breach]
    module = house / "forged" / name
    module.parent.mkdir(exist_ok=True)
    module.write_text(f'"""A breach."""\n{line}\n')
    result = import_contracts(house)
    assert result.returncode == 1, result.stdout + result.stderr
    assert told in result.stdout


def test_importing_forged_loads_nothing_heavy() -> None:
    program = "import sys, forged; print(*sorted({'asyncssh', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == ""
