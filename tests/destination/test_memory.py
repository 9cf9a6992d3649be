"""The toy twin keeps the contract."""

from __future__ import annotations

import uuid

import pytest

from forged.destination.memory import MemoryDestination, MemoryFile
from forged.model.errors import DiskFull
from forged.model.paths import home_path
from tests.destination.contract import DestinationContract, House
from tests.destination.places import budget, pour


class MemoryHouse(House):
    def __init__(self) -> None:
        self.budget = budget()
        self.destination: MemoryDestination = MemoryDestination(self.budget.share("box"))

    def put(self, home: bytes, data: bytes) -> None:
        self.destination.files[home_path(home)] = MemoryFile(data)

    def get(self, home: bytes) -> bytes | None:
        file = self.destination.files.get(home_path(home))
        return file.data if file else None

    def names(self) -> set[bytes]:
        return set(self.destination.files)

    def staged(self) -> int:
        return len(self.destination.parts)

    def exchange(self) -> None:
        self.destination.id = str(uuid.uuid4())


class TestMemory(DestinationContract):
    @pytest.fixture
    def house(self) -> MemoryHouse:
        return MemoryHouse()

    async def test_trouble_set_by_hand_stops_everything_until_it_is_over(self, house: MemoryHouse) -> None:
        await house.destination.ready(None)
        house.destination.trouble = DiskFull()
        with pytest.raises(DiskFull):
            await house.destination.ready(None)
        with pytest.raises(DiskFull):
            await pour(house.destination, (b"a.png", b"pixels"))
        house.destination.trouble = None
        await pour(house.destination, (b"a.png", b"pixels"))
