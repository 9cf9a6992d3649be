"""The store in an SQLite file keeps the contract, and the promises that only a file can make."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.store.sql import SqlStore
from forged.store.sqlite import open_store
from tests.store.contract import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqlStore]:
        store = await open_store(tmp_path / "state" / "forged.db")
        yield store
        await store.close()
