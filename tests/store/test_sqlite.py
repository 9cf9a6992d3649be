"""The store in an SQLite file keeps the contract, and the promises that only a file can make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from forged.model.jobs import Job
from forged.store.base import Store
from forged.store.sql import SqlStore
from forged.store.sqlite import open_store
from tests.store.contract import StoreContract
from tests.store.filled import save_jobs


class TestSqliteStore(StoreContract):
    @pytest.fixture
    async def store(self, quick_path: Path) -> AsyncIterator[SqlStore]:
        store = await open_store(quick_path / "state" / "forged.db")
        yield store
        await store.close()

    async def save_jobs(self, store: Store, jobs: Sequence[Job]) -> None:
        assert isinstance(store, SqlStore)
        await save_jobs(store, jobs)
