"""The catalog's file: made, brought up to date, and set aside when it is damaged. Blocks."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from forged.model.errors import IngestError, IngestRefused

APPLICATION_ID = 0x666F7267
"""`forg`: tells our file from others (sqlite.org/pragma.html#pragma_application_id)."""

PARTS = ("", "-wal", "-shm")
"""The files of a database (sqlite.org/wal.html)."""

_NAME = re.compile(r"(\d{4})_\w+\.sql")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class CatalogDamaged(IngestError):
    """The catalog is damaged."""

    default_hint = "`forgectl ingest replay` with its name fills it again with all that is home; no picture is concerned"


def migrations() -> list[str]:
    """The first makes a catalog, each of the others brings one up to date by a version; `user_version` counts them."""
    folder = resources.files("forged.ingest.catalog") / "migrations"
    files = sorted((file for file in folder.iterdir() if _NAME.fullmatch(file.name)), key=lambda file: file.name)
    return [file.read_text("utf-8") for file in files]


def opened(path: Path, busy_s: float) -> sqlite3.Connection:
    """For writing; made where there is none (file 0600), and brought up to date. Raises IngestError, sqlite3.Error, OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def tried(path: Path, busy_s: float) -> str:
    """Whether it could be opened for writing, in words; nothing is made. Raises IngestError, sqlite3.Error, OSError."""
    if not path.exists():
        there = next(one for one in path.parents if one.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise IngestRefused(f"{path}: this user may not write to {there}", hint="check its owner, or give it another `path`")
        return f"{path}: made with the first file"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=busy_s, uri=True)) as connection:
        _check(connection, path)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        raise IngestRefused(f"{path}: this user may not write to it", hint="check the owner of the file and of its folder")
    return f"{path} can be written to"


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for pragma in ("trusted_schema = off", "foreign_keys = on", "synchronous = full", "journal_size_limit = 67108864"):
        connection.execute(f"pragma {pragma}")  # as kit/sql has them, and for the same reasons
    _check(connection, path)
    connection.execute("pragma journal_mode = wal")
    known = migrations()
    with transaction(connection):
        for number in range(_version(connection) + 1, len(known) + 1):
            for statement in _statements(known[number - 1]):
                connection.execute(statement)
            connection.execute(f"pragma user_version = {number}")
            connection.execute(f"pragma application_id = {APPLICATION_ID}")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises IngestRefused."""
    id, version = int(connection.execute("pragma application_id").fetchone()[0]), _version(connection)
    is_empty = connection.execute("select 1 from sqlite_master").fetchone() is None
    if not is_empty and id != APPLICATION_ID:
        raise IngestRefused(f"{path} is the database of another program", hint="give the catalog another `path`")
    if version > len(migrations()):
        raise IngestRefused(f"{path} was written by a newer forged", hint="install the newer version again")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """One by one: sqlite3's executescript would commit before them."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Durable when it is left; undone by an exception. Raises sqlite3.Error."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("rollback")
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is not what it was."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def set_aside(path: Path, at_ns: int) -> Path:
    """Renames it to `<name>.damaged-<UTC time>`; answers the new name. Nothing is deleted or overwritten. Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}")
    while any(os.path.lexists(f"{aside}{part}") for part in PARTS):
        aside = aside.with_name(aside.name + "+")
    for part in PARTS:
        with suppress(FileNotFoundError):
            os.rename(f"{path}{part}", f"{aside}{part}")
    return aside
