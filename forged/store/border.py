"""The border to the database: transactions whose errors come out as forged's own, each saying what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.kit.sql import Database, DatabaseClosed
from forged.model.errors import StoreDamaged, StoreError

_PRIMARY_CODE = 0xFF
"""The low byte of an SQLite result code is its kind, the rest only details (sqlite.org/rescode.html)."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_NO_TEXT = "Could not decode to UTF-8"
"""How Python's sqlite3 tells of text that is none, without a code (Modules/_sqlite/cursor.c)."""

_HINTS = (
    (sqlite3.SQLITE_FULL, "free some room on the disk of state_dir; forged goes on by itself"),
    (sqlite3.SQLITE_BUSY, "another program keeps the database locked: end it (a backup, an open sqlite3 shell?)"),
    (sqlite3.SQLITE_READONLY, "the file or its folder cannot be written to: check owner, mode and mount options of state_dir"),
    (sqlite3.SQLITE_CANTOPEN, "check that state_dir exists and belongs to the user forged runs as"),
    (sqlite3.SQLITE_PERM, "check owner and mode of the files in state_dir"),
    (sqlite3.SQLITE_IOERR, "the disk under state_dir does not read or write: look at the kernel log (dmesg)"),
)


class Garbled(ValueError):
    """What was read is nothing that any forged wrote."""


class Border:
    """Transactions of one database. `name` is how people know it: its file, or a URL without secrets."""

    def __init__(self, database: Database, name: str) -> None:
        self.database = database
        self.name = name

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `Database.read`. Raises StoreError."""
        with self.translated():
            async with self.database.read() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """As `Database.write`. Raises StoreError."""
        with self.translated():
            async with self.database.write() as connection:
                yield connection

    def translated(self) -> AbstractContextManager[None]:
        """What this database raises becomes StoreError."""
        return translated(self.name)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turns what a database, its driver or the file system raises into StoreError or StoreDamaged."""
    try:
        yield
    except DatabaseClosed as e:
        raise StoreError(f"{name}: is closed already; forged is stopping") from e
    except DBAPIError as e:
        raise _driver_error(name, e.orig) from e
    except sqlite3.Error as e:
        raise _driver_error(name, e) from e
    except Garbled as e:
        raise damaged(name, str(e)) from e
    except (SQLAlchemyError, OSError) as e:
        raise StoreError(f"{name}: {e}") from e


def _driver_error(name: str, error: BaseException | None) -> StoreError:
    """Only the driver's own words: SQLAlchemy's add the statement, which helps no user."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code in _DAMAGED or _NO_TEXT in str(error):
        return damaged(name, str(error))
    return StoreError(f"{name}: {error}", hint=dict(_HINTS).get(code, ""))


def damaged(name: str, why: str) -> StoreDamaged:
    """The error for a database file that cannot be believed."""
    return StoreDamaged(f"the state database {name} is damaged: {why}")


async def put(connection: AsyncConnection, table: sa.Table, values: dict[str, object]) -> None:
    """Writes one row, in place of the one with the same primary key. Within a writing transaction nobody can come between."""
    same_key = [column == values[column.name] for column in table.primary_key]
    await connection.execute(sa.delete(table).where(*same_key))
    await connection.execute(sa.insert(table).values(values))
