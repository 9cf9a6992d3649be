"""The handler `sqlite`: events of files into the catalog, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from forged.ingest.catalog import file
from forged.ingest.catalog.tables import Tables
from forged.ingest.file_events import ABOUT_FILES, body_of
from forged.kit.clock import Clock, SystemClock
from forged.model.errors import IngestError, IngestRefused
from forged.model.events import Event
from forged.model.ingest import FileBody
from forged.model.settings import SqliteIngest

BUSY_S = 10.0
"""How long another program's lock is waited for: a backup, or a person's sqlite3 shell."""

T = TypeVar("T")

_Told = Sequence[tuple[Event, FileBody]]


class Sqlite:
    """A Handler. A batch is one transaction, durable when it was taken; what comes twice changes nothing."""

    batch = 500
    """A transaction has its price, an fsync, whatever is in it."""

    def __init__(self, name: str, settings: SqliteIngest, clock: Clock | None = None, busy_s: float = BUSY_S) -> None:
        """Opens nothing yet."""
        self.name = name
        self._path = settings.path
        self._clock = clock or SystemClock()
        self._busy_s = busy_s
        self._thread = ThreadPoolExecutor(1, "catalog")
        self._open: _Open | None = None
        self._asked = False
        """Whether this catalog was looked into, if it is empty."""

    async def deliver(self, events: Sequence[Event]) -> None:
        """Events that are not about a file count as taken. Raises IngestError.

        A damaged catalog is set aside, and an empty one begun with the next delivery.
        """
        if any(event.kind in ABOUT_FILES for event in events):
            await self._in_thread(lambda: self._take(events))

    async def try_out(self) -> str:
        """A damaged one is told, and left where it is."""
        return await self._in_thread(lambda: self._told(lambda: file.tried(self._path, self._busy_s), _harmed))

    async def lost(self) -> bool:
        """Whether the catalog has no file in it, asked once of each catalog. Makes one where there is none."""
        try:
            return await self._in_thread(self._is_empty)
        except (IngestError, sqlite3.Error, OSError, RuntimeError):  # the next delivery tells
            return False

    async def aclose(self) -> None:
        """What is under way is written first."""
        with suppress(RuntimeError):  # it was closed before
            await self._in_thread(self._let_go)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """One after the other, also after somebody stopped waiting: a transaction is not left half done."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _take(self, events: Sequence[Event]) -> None:
        told = [(event, body_of(event)) for event in events if event.kind in ABOUT_FILES]
        self._told(lambda: self._write(told), self._set_aside)

    def _told(self, work: Callable[[], T], damaged: Callable[[Path, sqlite3.Error], IngestError]) -> T:
        """What goes wrong becomes an IngestError; of damage `damaged` says what follows."""
        try:
            return work()
        except sqlite3.Error as error:
            self._let_go()
            if file.is_damage(error):
                raise damaged(self._path, error) from error
            hint = "another program may have it locked, or the disk be full"
            raise IngestError(f"{self._path}: {error}", hint=hint) from error
        except OSError as error:
            self._let_go()
            hint = "check that the folder exists, has room, and may be written to"
            raise IngestError(f"{self._path}: {error.strerror or error}", hint=hint) from error

    def _write(self, told: _Told) -> None:
        catalog = self._opened()
        try:
            with file.transaction(catalog.connection):
                for event, body in told:
                    catalog.tables.take(event, body)
        except (sqlite3.DataError, sqlite3.IntegrityError) as error:  # a value that it cannot hold
            about = [event.id for event, _ in told]
            raise IngestRefused(f"{self._path}: {error}", hint="this is a fault of ours", about=about) from error

    def _opened(self) -> _Open:
        if self._open is None or not self._open.is_at(self._path):
            self._let_go()
            self._open, self._asked = _Open(file.opened(self._path, self._busy_s), self._path), False
        return self._open

    def _is_empty(self) -> bool:
        catalog = self._opened()
        before, self._asked = self._asked, True
        return not before and catalog.connection.execute("select 1 from files limit 1").fetchone() is None

    def _let_go(self) -> None:
        before, self._open = self._open, None
        if before is not None:
            before.connection.close()

    def _set_aside(self, path: Path, error: sqlite3.Error) -> IngestError:
        try:
            kept = file.set_aside(path, self._clock.now_ns())
        except OSError as trouble:
            return file.CatalogDamaged(f"{path} is damaged ({error}), and cannot be set aside: {trouble.strerror}")
        return file.CatalogDamaged(f"{path} was damaged ({error}); it is kept as {kept}, and an empty one takes its place")


def _harmed(path: Path, error: sqlite3.Error) -> IngestError:
    """To who only asks."""
    return file.CatalogDamaged(f"{path} is damaged ({error}); with the next file an empty one takes its place")


class _Open:
    """The connection, and which file it is: one that was deleted or replaced must not be written to unseen."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection, self.tables = connection, Tables(connection)
        self._which = _which(path)

    def is_at(self, path: Path) -> bool:
        return self._which is not None and self._which == _which(path)


def _which(path: Path) -> tuple[int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino
