"""Transactions on SQLite: nothing lost between tasks, nothing half done, durable when it returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from forged.kit.sql import SPREAD_ROWS, Bulk, BulkInsert, Database, DatabaseClosed, sqlite_database

counters = sa.Table("counters", sa.MetaData(), sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Integer))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = sqlite_database(str(tmp_path / "some.db"))
    async with database.write() as connection:
        await connection.run_sync(counters.create)
        await connection.execute(sa.insert(counters).values(name="files", value=0))
    yield database
    await database.close()


async def value(database: Database) -> int | None:
    async with database.read() as connection:
        return (await connection.execute(sa.select(counters.c.value))).scalar_one()


async def add_one(database: Database) -> None:
    """Reads, lets everyone else run, writes: what is lost without a lock from the beginning."""
    async with database.write() as connection:
        before = (await connection.execute(sa.select(counters.c.value))).scalar_one()
        await asyncio.sleep(0)
        await connection.execute(sa.update(counters).values(value=before + 1))


async def test_no_update_of_concurrent_tasks_is_lost(database: Database) -> None:
    async def fifty() -> None:
        for _ in range(50):
            await add_one(database)

    await asyncio.gather(*(fifty() for _ in range(5)))
    assert await value(database) == 250


async def test_no_update_of_concurrent_processes_is_lost(database: Database, tmp_path: Path) -> None:
    """Five databases on one file are to SQLite what five processes are."""

    async def ten(other: Database) -> None:
        for _ in range(10):
            await add_one(other)

    async with AsyncExitStack() as stack:
        others = [sqlite_database(str(tmp_path / "some.db")) for _ in range(5)]
        for other in others:
            stack.push_async_callback(other.close)
        await asyncio.gather(*(ten(other) for other in others))
    assert await value(database) == 50


async def test_a_commit_waits_for_the_disk(database: Database) -> None:
    async with database.write() as connection:
        settings = {p: (await connection.exec_driver_sql(f"PRAGMA {p}")).scalar_one() for p in ("synchronous", "journal_mode")}
    assert settings == {"synchronous": 2, "journal_mode": "wal"}


async def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:
            await connection.execute(sa.update(counters).values(value=7))
            raise ZeroDivisionError
    assert await value(database) == 0


async def test_cancelled_writers_leave_all_or_nothing_and_harm_nobody(database: Database) -> None:
    started = asyncio.Event()

    async def two_steps() -> None:
        async with database.write() as connection:
            await connection.execute(sa.update(counters).values(value=counters.c.value + 1))
            started.set()
            await connection.execute(sa.update(counters).values(value=counters.c.value + 1))

    for turns in range(25):
        started.clear()
        task = asyncio.create_task(two_steps())
        await started.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        now = await value(database)
        assert now is not None
        assert now % 2 == 0
        await add_one(database)
        await add_one(database)


async def test_a_reader_sees_one_moment_and_waits_for_no_writer(database: Database) -> None:
    async with database.read() as reader:
        look = sa.select(counters.c.value)
        assert (await reader.execute(look)).scalar_one() == 0
        await add_one(database)
        assert (await reader.execute(look)).scalar_one() == 0
    assert await value(database) == 1


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        async with database.read() as connection:
            await connection.execute(sa.update(counters).values(value=7))


async def test_closing_lets_running_transactions_end_and_refuses_new_ones(database: Database) -> None:
    async with database.write() as connection:
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        with pytest.raises(DatabaseClosed):
            await value(database)
        await connection.execute(sa.update(counters).values(value=7))
        assert not closing.done()
    await closing


async def test_an_error_names_no_values(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError) as refused:
        async with database.write() as connection:
            await connection.execute(sa.insert(counters), [{"name": "secret", "value": 1}, {"name": "secret", "value": 2}])
    assert "secret" not in str(refused.value)


async def test_bulk_statements_take_named_values_and_their_own_constants(database: Database) -> None:
    insert = Bulk(sa.insert(counters).values(name=sa.bindparam("b_name"), value=sa.bindparam("b_value")))
    page = Bulk(sa.select(counters).where(counters.c.value > sa.bindparam("b_over")).order_by(counters.c.value).limit(2))
    async with database.write() as connection:
        rows = [{"b_name": f"n{n}", "b_value": n, "b_unused": None} for n in range(1, 5)]
        assert await insert.run(connection, rows) == 4
        assert await insert.run(connection, []) == 0
        assert [tuple(r) for r in await page.fetch(connection, {"b_over": 1})] == [("n2", 2), ("n3", 3)]


@pytest.mark.parametrize("rows", [0, 1, SPREAD_ROWS - 1, SPREAD_ROWS, 3 * SPREAD_ROWS + 5])
async def test_many_rows_are_inserted_but_those_whose_key_is_taken(database: Database, rows: int) -> None:
    insert, taken = BulkInsert(counters), [str(n) for n in range(0, rows, 3)]
    async with database.write() as connection:
        assert await insert.run(connection, [(name, -1) for name in taken]) == len(taken)
        assert await insert.run(connection, [(str(n), n) for n in range(rows)]) == rows - len(taken)
    async with database.read() as connection:
        found = {str(row.name): row.value for row in await connection.execute(sa.select(counters))}
    assert found == {"files": 0} | {str(n): -1 if str(n) in taken else n for n in range(rows)}


async def test_an_insert_that_the_table_does_not_allow_is_an_error(database: Database) -> None:
    """Only a taken key is passed over: not what a constraint refuses."""
    strict = sa.Table(
        "strict", sa.MetaData(), sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Integer, nullable=False)
    )
    with pytest.raises(IntegrityError):
        async with database.write() as connection:
            await connection.run_sync(strict.create)
            await BulkInsert(strict).run(connection, [("a", None)])
