"""A folder for what comes home, and a destination that is ready in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.destination.posix import PosixDestination
from tests.destination.places import posix


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def home(dest: Path) -> AsyncIterator[PosixDestination]:
    home = posix(dest)
    await home.ready(None)
    yield home
    await home.aclose()
