"""A local folder keeps the whole contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.sources.local import LocalSource
from tests.sources.boxes import FolderBox
from tests.sources.contract import SourceContract


class TestLocal(SourceContract):
    @pytest.fixture
    def box(self, tmp_path: Path) -> FolderBox:
        return FolderBox(tmp_path / "root", LocalSource)
