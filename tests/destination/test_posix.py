"""A folder of this machine keeps the contract, at every level of renaming that a file system may allow."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.destination.apart.hands import ApartHands
from forged.destination.apart.process import Helper
from forged.destination.posix import PosixDestination
from forged.kit import durable
from forged.kit.durable import NoReplace
from forged.media.completeness import inspect
from forged.model.paths import home_path
from forged.model.target import HomePolicy
from forged.model.transfer import Wholeness
from tests.destination.contract import DestinationContract, House
from tests.destination.places import budget, posix, unknown


class PosixHouse(House):
    def __init__(self, dest: Path) -> None:
        self.dest = dest
        self.budget = budget()
        self.destination: PosixDestination = posix(dest, self.budget.share("box"))

    def _path(self, home: bytes) -> Path:
        return self.dest / os.fsdecode(home)

    def put(self, home: bytes, data: bytes) -> None:
        self._path(home).parent.mkdir(parents=True, exist_ok=True)
        self._path(home).write_bytes(data)

    def get(self, home: bytes) -> bytes | None:
        return self._path(home).read_bytes() if self._path(home).exists() else None

    def names(self) -> set[bytes]:
        files = (path.relative_to(self.dest) for path in self.dest.rglob("*") if path.is_file())
        return {os.fsencode(path) for path in files if path.parts[0] != ".forged"}

    def staged(self) -> int:
        return len(list((self.dest / ".forged/staging/box").iterdir()))

    def exchange(self) -> None:
        shutil.rmtree(self.dest / ".forged")


class ApartHouse(PosixHouse):
    """The same with another process at the desk."""

    def __init__(self, dest: Path, helper: Helper) -> None:
        super().__init__(dest)
        self.destination = PosixDestination(ApartHands(helper, HomePolicy(dest), "box", 0, unknown), self.budget.share("box"))


class TestPosix(DestinationContract):
    @pytest.fixture(params=list(NoReplace), ids=lambda level: level.value)
    async def house(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[PosixHouse]:
        """The weaker levels are had by taking the better ones away, as an old kernel or a FAT disk does."""
        without(monkeypatch, request.param)
        house = PosixHouse(tmp_path / "home")
        yield house
        await house.destination.aclose()

    async def test_the_level_is_told(self, house: PosixHouse, request: pytest.FixtureRequest) -> None:
        assert (await house.destination.ready(None)).no_replace is request.node.callspec.params["house"]


class TestApart(DestinationContract):
    @pytest.fixture
    async def house(self, tmp_path: Path) -> AsyncIterator[ApartHouse]:
        helper = Helper()
        house = ApartHouse(tmp_path / "home", helper)
        yield house
        await house.destination.aclose()
        await helper.aclose()


async def test_a_file_at_home_is_judged_by_its_format(tmp_path: Path) -> None:
    home = posix(tmp_path, inspect=inspect)
    await home.ready(None)
    (tmp_path / "half.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert await home.inspect(home_path(b"half.png")) is Wholeness.BROKEN
    await home.aclose()


def without(monkeypatch: pytest.MonkeyPatch, level: NoReplace) -> None:
    """Makes `level` the best that the system can do."""
    if level is not NoReplace.RENAMEAT2:
        monkeypatch.setattr(durable, "_RENAMEAT2", None)
    if level is NoReplace.PLACEHOLDER:
        monkeypatch.setattr(os, "link", _no_links)


def _no_links(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")  # what link(2) says on FAT
