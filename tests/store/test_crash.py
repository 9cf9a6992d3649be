"""Killed at any moment: what was acknowledged is there, what was not is whole or absent, and the file is sound."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.model.paths import SourcePath
from forged.store.sqlite import open_store
from tests.store.samples import FORGE

KILLS = 15


class Nursery:
    """Children that record until they are killed; see recorder.py."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._words = process.stdin, process.stdout

    def killed_child(self, file: Path, first: int, after_words: int) -> list[int]:
        """Starts one on `file`, kills it once it has said so many numbers; answers all the numbers it said."""
        self._orders.write(b"%s %d\n" % (os.fsencode(file), first))
        self._orders.flush()
        pid = int(self._words.readline())
        said = [int(self._words.readline()) for _ in range(after_words)]
        os.kill(pid, signal.SIGKILL)
        while (word := self._words.readline()) != b"dead\n":
            said.append(int(word))
        return said


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    command = [sys.executable, "-m", "tests.store.recorder"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Nursery(process)


async def remembered(file: Path) -> tuple[set[SourcePath], set[int]]:
    """The paths of all rows, and the numbers of all events."""
    store = await open_store(file)
    try:
        rows = await store.manifest.between(FORGE, None, None, 1_000_000)
        events = await store.outbox.after("catalog", 1_000_000)
        return {r.path for r in rows}, {int(e.body) for e in events}
    finally:
        await store.close()


async def test_every_acknowledged_row_survives_a_kill_at_any_moment(nursery: Nursery, tmp_path: Path) -> None:
    file, chance, acknowledged = tmp_path / "forged.db", random.Random(), set[int]()
    for life in range(KILLS):
        # With 0 the child dies while it opens the database, or makes it.
        said = nursery.killed_child(file, first=life * 100_000, after_words=chance.choice([0, 1, 2, 3, 20, 60]))
        acknowledged.update(said)
        paths, events = await remembered(file)
        assert acknowledged <= events
        # Rows and their event came in one transaction: neither without the other.
        assert paths == {b"%06d.png" % (number + n) for number in events for n in range(3)}
        with sqlite3.connect(file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    assert acknowledged
