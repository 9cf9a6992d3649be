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
from forged.model.errors import IngestError
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

    async def deliver(self, events: Sequence[Event]) -> None:
        """Events that are not about a file count as taken. Raises IngestError.

        A damaged catalog is set aside, and an empty one begun with the next delivery.
        """
        if any(event.kind in ABOUT_FILES for event in events):
            await self._in_thread(lambda: self._take(events))

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
        try:
            self._write(told)
        except sqlite3.Error as error:
            self._let_go()
            raise self._translated(error) from error
        except OSError as error:
            self._let_go()
            hint = "check that the folder exists, has room, and may be written to"
            raise IngestError(f"{self._path}: {error.strerror or error}", hint=hint) from error

    def _write(self, told: _Told) -> None:
        if self._open is None or not self._open.is_at(self._path):
            self._let_go()
            self._open = _Open(file.opened(self._path, self._busy_s), self._path)
        with file.transaction(self._open.connection):
            for event, body in told:
                self._open.tables.take(event, body)

    def _let_go(self) -> None:
        before, self._open = self._open, None
        if before is not None:
            before.connection.close()

    def _translated(self, error: sqlite3.Error) -> IngestError:
        if not file.is_damage(error):
            return IngestError(f"{self._path}: {error}", hint="another program may have it locked, or the disk be full")
        try:
            kept = file.set_aside(self._path, self._clock.now_ns())
        except OSError as trouble:
            return file.CatalogDamaged(f"{self._path} is damaged ({error}), and cannot be set aside: {trouble.strerror}")
        return file.CatalogDamaged(f"{self._path} was damaged ({error}); it is kept as {kept}, and an empty one takes its place")


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
