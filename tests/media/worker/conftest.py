"""Files that are open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forged.media.base import Opened
from tests.media.contract import Open


@pytest.fixture
def fresh(tmp_path: Path, request: pytest.FixtureRequest) -> Open:
    """Makes a file and opens it; it is closed at the end."""

    def made(name: str, data: bytes) -> Opened:
        path = tmp_path / name
        path.write_bytes(data)
        fd = os.open(path, os.O_RDONLY)
        request.addfinalizer(lambda: os.close(fd))
        return Opened(name, fd, len(data))

    return made
