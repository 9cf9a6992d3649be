"""A shell of busybox, and of the tools of this machine, keeps the whole contract of a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.sources.shell.client import ShellSource
from tests.sources.boxes import FolderBox
from tests.sources.contract import SourceContract
from tests.sources.contract_hash import HashContract
from tests.sources.contract_removal import GuardedContract
from tests.support.busybox import BUSYBOX, PipedShells, applets


class ShellBox(FolderBox):
    """A folder that a shell of this machine looks at."""

    def __init__(self, root: Path, shells: PipedShells) -> None:
        super().__init__(root, lambda root: ShellSource(shells, bytes(root), max_lanes=3))
        self._shells = shells

    async def empty(self) -> None:
        await self._shells.empty()


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH with busybox's applets and nothing else."""
    if BUSYBOX is None:
        pytest.skip("no busybox here (apt install busybox-static)")
    return applets(tmp_path_factory.mktemp("busybox") / "bin")


class TestBusybox(SourceContract, HashContract, GuardedContract):
    @pytest.fixture
    def box(self, busybox: Path, quick_path: Path) -> ShellBox:
        return ShellBox(quick_path / "root", PipedShells(busybox))


class TestToolsOfThisMachine(SourceContract, HashContract, GuardedContract):
    @pytest.fixture
    def box(self, quick_path: Path) -> ShellBox:
        return ShellBox(quick_path / "root", PipedShells(Path("/bin")))
