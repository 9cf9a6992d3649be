"""SQL databases for asyncio: an engine for those who write and one for those who only look.

SQLAlchemy Core (2.1) gives one language for SQLite (aiosqlite, here) and PostgreSQL (asyncpg; whoever connects makes the engines).
Errors stay SQLAlchemy's own, and those of asyncpg where many rows go: whoever owns the tables translates them. `close` before the
event loop ends, or connections are left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_MS = 10_000
"""How long SQLite waits for another process's lock (a backup, a person's sqlite3 shell). Our own writers queue before SQLite
sees them, so this bounds only strangers. Ten seconds outlasts a checkpoint on a slow disk; a guess that long runs may correct."""

WRITE_PRAGMAS: Mapping[str, str] = {
    # First, so that those after it may wait for a lock.
    "busy_timeout": str(BUSY_TIMEOUT_MS),
    # Readers do not wait for the writer, nor it for them (sqlite.org/wal.html).
    "journal_mode": "WAL",
    # A commit returns after the fsync of the log. NORMAL leaves that fsync to the checkpoint: a power cut could take back what
    # was answered, and a file at home would be one that nobody remembers (sqlite.org/pragma.html#pragma_synchronous).
    # The price, measured on a virtual SSD: 1.2 ms instead of 0.7 for a transaction of one row, nothing for one of a thousand.
    "synchronous": "FULL",
    "foreign_keys": "ON",
    # One huge transaction makes a huge log file, which SQLite would keep at that size; it is cut back to 64 MiB.
    "journal_size_limit": str(64 * 1024 * 1024),
    # The schema of a foreign or damaged file must not call functions with side effects (sqlite.org/security.html).
    "trusted_schema": "OFF",
}

READ_PRAGMAS: Mapping[str, str] = {
    "busy_timeout": str(BUSY_TIMEOUT_MS),
    # A change that strayed into a read-only transaction fails, instead of taking the write lock behind everyone's back.
    "query_only": "ON",
    "trusted_schema": "OFF",
}

READERS = 3
"""Connections for reading, each a thread and up to 2 MB of page cache: enough for a scan, a handler and a person at once."""


class DatabaseClosed(Exception):
    """The database was closed; whoever asks has outlived it."""


class Database:
    """Transactions, and the end of them. A read sees one moment and waits for nobody; writes come one after the other.

    Keep every transaction short: in SQLite an open read keeps the log from being emptied, an open write keeps everyone else
    from writing. Never open one inside another.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader
        self._in_use = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one moment of the database and cannot change it. Raises DatabaseClosed, SQLAlchemyError."""
        with self._using():
            async with self._reader.begin() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that owns the database from its first moment: what it reads stays true until it has committed.

        Leaving commits, durably; an exception on the way (a cancellation too) undoes all of it. Raises DatabaseClosed,
        SQLAlchemyError.
        """
        with self._using():
            async with self._writer.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Refuses new transactions, lets the running ones end, closes all connections. May be called again."""
        self._closed = True
        await self._idle.wait()
        await self.renew()

    async def renew(self) -> None:
        """Closes connections that nobody uses; those in use go when they are given back."""
        await self._reader.dispose()
        await self._writer.dispose()

    @contextmanager
    def _using(self) -> Iterator[None]:
        if self._closed:
            raise DatabaseClosed("the database is closed")
        self._in_use += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_use -= 1
            if not self._in_use:
                self._idle.set()


def sqlite_database(path: str) -> Database:
    """The SQLite database in the file `path`. Nothing is opened before the first transaction.

    Writers get a pool of one connection, so that they queue in the order they came instead of racing for SQLite's lock.
    """
    writer = _sqlite_engine(path, connections=1, pragmas=WRITE_PRAGMAS, begin="BEGIN IMMEDIATE")
    reader = _sqlite_engine(path, connections=READERS, pragmas=READ_PRAGMAS, begin="BEGIN")
    return Database(writer, reader)


def _sqlite_engine(path: str, *, connections: int, pragmas: Mapping[str, str], begin: str) -> AsyncEngine:
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=path),
        # The driver must not open transactions by its own rules: it would begin them late and shared, and of 50 concurrent
        # read-modify-writes 43 were lost without an error. We begin them ourselves, below.
        connect_args={"isolation_level": None},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=None,  # waiting for one's turn is no error, however slow the disk
        hide_parameters=True,  # values of rows do not belong into error messages and logs
    )

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma, value in pragmas.items():
            cursor.execute(f"PRAGMA {pragma}={value}")
        cursor.close()

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
    return engine


Plain = str | bytes | int | float | None
"""What a driver takes and gives without SQLAlchemy's types in between."""


class Bulk:
    """A statement for many plain rows: SQLAlchemy writes the SQL, the driver alone handles the values.

    No SQLAlchemy type looks at a value on its way, which would take half of the time and more: what goes in is plain, and a
    boolean may come back as 0 or 1. Values are given by the names of the statement's bind parameters. Made to be a constant.
    """

    def __init__(self, statement: sa.Select[*tuple[Any, ...]] | sa.UpdateBase) -> None:
        self._statement = statement
        self._written: dict[str, _Written] = {}

    async def run(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Plain]]) -> int:
        """Runs it once for each row; answers how many rows of the database it touched. Raises SQLAlchemyError."""
        if not rows:
            return 0
        written = self._for(connection.dialect)
        values = [written.in_order(row) for row in rows]
        if connection.dialect.name == _POSTGRESQL:
            return await _pipelined(connection, written.sql, values)
        return (await connection.exec_driver_sql(written.sql, values)).rowcount

    async def fetch(self, connection: AsyncConnection, values: Mapping[str, Plain]) -> Sequence[sa.Row[*tuple[Plain, ...]]]:
        """Runs it once and answers all it finds, so it should have a limit. Raises SQLAlchemyError."""
        written = self._for(connection.dialect)
        if connection.dialect.name == _POSTGRESQL:  # its own rows, which take a third of the time
            found: Sequence[sa.Row[*tuple[Plain, ...]]] = await (await _driver(connection)).fetch(
                written.sql, *written.in_order(values)
            )
            return found
        return (await connection.exec_driver_sql(written.sql, written.in_order(values))).all()

    def _for(self, dialect: sa.Dialect) -> _Written:
        if dialect.name not in self._written:
            told = dialect.name == _POSTGRESQL and isinstance(self._statement, sa.UpdateBase)
            statement = self._statement.returning(sa.literal_column("1")) if told else self._statement  # type: ignore[union-attr]
            self._written[dialect.name] = _written(statement, dialect)
        return self._written[dialect.name]


_POSTGRESQL = "postgresql"


async def _pipelined(connection: AsyncConnection, sql: str, values: Sequence[tuple[Plain, ...]]) -> int:
    """Runs a statement with RETURNING for each of these; answers how many rows it touched.

    asyncpg sends them all before it waits; it tells how many were touched only by what comes back (`fetchmany`, asyncpg 0.30).
    """
    return len(await (await _driver(connection)).fetchmany(sql, values))


async def _driver(connection: AsyncConnection) -> Any:
    """asyncpg's own connection, in SQLAlchemy's transaction."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    if not driver.is_in_transaction():
        await connection.exec_driver_sql("SELECT 1")  # SQLAlchemy begins with the first statement that it knows of
    return driver


SPREAD_ROWS = 64
"""Rows that SQLite inserts with one statement. The driver lets go of the interpreter for each statement and has to get it back,
which takes up to 5 ms while another thread computes; more rows than these were no faster (measured: 3.7 us a row)."""


class BulkInsert:
    """Inserts many plain rows into a table, those whose primary key is not taken. As with `Bulk`, the driver handles the values.

    ON CONFLICT DO NOTHING: a condition of our own in its place takes twice as long (measured on SQLite).
    """

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._sql: dict[str, str] = {}

    async def run(self, connection: AsyncConnection, rows: Sequence[tuple[Plain, ...]]) -> int:
        """Answers how many were inserted. A row has all values in the order of the columns. Raises SQLAlchemyError."""
        single = self._for(connection.dialect)
        if connection.dialect.name == _POSTGRESQL:
            columns = tuple(map(list, zip(*rows, strict=True)))
            return (await connection.exec_driver_sql(single, columns)).rowcount if rows else 0
        spread = _spread(single, len(self._table.columns)) if connection.dialect.paramstyle == "qmark" else None
        end = len(rows) // SPREAD_ROWS * SPREAD_ROWS if spread else 0
        inserted = 0
        if spread and end:
            joined = [tuple(chain.from_iterable(rows[at : at + SPREAD_ROWS])) for at in range(0, end, SPREAD_ROWS)]
            inserted += (await connection.exec_driver_sql(spread, joined)).rowcount
        if rows[end:]:
            inserted += (await connection.exec_driver_sql(single, list(rows[end:]))).rowcount
        return inserted

    def _for(self, dialect: sa.Dialect) -> str:
        if dialect.name not in self._sql and dialect.name == _POSTGRESQL:
            self._sql[dialect.name] = _unnested(self._table, dialect)
        elif dialect.name not in self._sql:
            values = {column.name: sa.bindparam(f"b_{column.name}", type_=column.type) for column in self._table.columns}
            insert = sqlite.insert(self._table).values(values)
            unless_taken = insert.on_conflict_do_nothing(index_elements=list(self._table.primary_key))
            self._sql[dialect.name] = unless_taken.compile(dialect=dialect).string
        return self._sql[dialect.name]


def _unnested(table: sa.Table, dialect: sa.Dialect) -> str:
    """One statement for any number of rows, which come as arrays, one for each column."""
    names = [dialect.identifier_preparer.format_column(column) for column in table.columns]
    arrays = [f"${place}::{column.type.compile(dialect)}[]" for place, column in enumerate(table.columns, 1)]
    keys = [dialect.identifier_preparer.format_column(column) for column in table.primary_key]
    rows = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({', '.join(arrays)})"
    return f"{rows} ON CONFLICT ({', '.join(keys)}) DO NOTHING"


def _spread(sql: str, columns: int) -> str:
    """The same statement for `SPREAD_ROWS` rows."""
    row = f"({', '.join('?' * columns)})"
    return sql.replace(row, ", ".join([row] * SPREAD_ROWS))


@dataclass(frozen=True, slots=True)
class _Written:
    """A statement in one database's words, the names of its values in order, and the values it brought along (`LIMIT 1`)."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Plain]

    def in_order(self, values: Mapping[str, Plain]) -> tuple[Plain, ...]:
        known = {**self.constants, **values} if self.constants else values
        return tuple([known[name] for name in self.names])


def _written(statement: sa.Select[*tuple[Any, ...]] | sa.UpdateBase, dialect: sa.Dialect) -> _Written:
    compiled = statement.compile(dialect=dialect)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return _Written(compiled.string, tuple(compiled.positiontup or ()), constants)
