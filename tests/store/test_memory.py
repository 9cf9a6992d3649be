"""The toy twin keeps the contract."""

from __future__ import annotations

import pytest

from forged.store.memory import MemoryStore
from tests.store.contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
