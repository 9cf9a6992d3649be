"""Somebody who uses a box, and a ledger of all that was ever in it: what forged is held to in the end."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

FRESH_S = 1.0
"""A file is written to in place only while it is so young. Who writes to an old file in the moment in which it is cleaned up has
opened what is about to be unlinked, and no program can help him; the cleanup age of a campaign is a multiple of this."""


@dataclass
class Ledger:
    """Every content that ever was under every path, and what is there now as far as the writer knows."""

    now: dict[str, str] = field(default_factory=dict)
    """Path to sha256. A file that is not on the box although it is here was removed by forged."""
    ever: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def note(self, path: str, data: bytes) -> None:
        """This is what the file holds from now on."""
        self.now[path] = hashlib.sha256(data).hexdigest()
        self.ever[path].add(self.now[path])

    def moved(self, path: str, to: str) -> None:
        self.now[to] = self.now.pop(path)
        self.ever[to].add(self.now[to])


class Writer(threading.Thread):
    """Creates, grows, rewrites, renames and deletes files of one box until told to stop."""

    def __init__(self, box: Path, seed: int, pause_s: float) -> None:
        super().__init__(name="writer", daemon=True)
        self.box, self.chance, self.pause_s = box, random.Random(seed), pause_s
        self.ledger, self.did = Ledger(), Counter[str]()
        self.ended = threading.Event()
        self._fresh: dict[str, float] = {}
        self._made = 0

    def run(self) -> None:
        deeds = (
            [self.create] * 8 + [self.create_slowly] * 3 + [self.grow] * 2 + [self.rewrite, self.replace, self.rename, self.delete]
        )
        while not self.ended.wait(self.pause_s):
            deed = self.chance.choice(deeds)
            with suppress(FileNotFoundError):  # forged has removed it meanwhile
                deed()
                self.did[deed.__name__] += 1

    # --- what people and programs do ----------------------------------------------------------------------------------------

    def create(self) -> None:
        self._write(self._new_name(), self._bytes())

    def create_slowly(self) -> None:
        """As a program that flushes in the middle of a picture."""
        path, data = self._new_name(), self._bytes()
        part = len(data) // 3
        with self._at(path).open("wb", buffering=0) as file:
            for start in range(0, len(data), part or 1):
                file.write(data[start : start + (part or 1)])
                self.ledger.note(path, data[: start + (part or 1)])
                time.sleep(self.chance.random() * 0.02)
        self.ledger.note(path, data)
        self._touch(path)

    def grow(self) -> None:
        path = self._a_fresh_one()
        data = self._at(path).read_bytes() + self.chance.randbytes(1 + self.chance.randrange(20_000))
        self._write(path, data, "r+b")

    def rewrite(self) -> None:
        """In place, of equal size now and then: only inode and times tell."""
        path = self._a_fresh_one()
        size = self._at(path).stat().st_size
        self._write(path, self.chance.randbytes(size if self.chance.random() < 0.5 else size + 7))

    def replace(self) -> None:
        """By a rename over an old name, as careful programs do: at any age of the file."""
        path, data = self._any(), self._bytes()
        aside = self.box.parent / "replacement"
        aside.write_bytes(data)
        self.ledger.note(path, data)
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        aside.replace(self._at(path))
        self._touch(path)

    def rename(self) -> None:
        path, to = self._any(), self._new_name()
        os.rename(self._at(path), self._at(to))
        self.ledger.moved(path, to)

    def delete(self) -> None:
        path = self._any()
        self._at(path).unlink()
        del self.ledger.now[path]

    # ------------------------------------------------------------------------------------------------------------------------

    def _write(self, path: str, data: bytes, how: str = "wb") -> None:
        with self._at(path).open(how) as file:
            self.ledger.ever[path].add(hashlib.sha256(data).hexdigest())
            file.write(data)
        self.ledger.note(path, data)
        self._touch(path)

    def _touch(self, path: str) -> None:
        self._fresh[path] = time.monotonic()

    def _at(self, path: str) -> Path:
        return self.box / path

    def _new_name(self) -> str:
        self._made += 1
        folder = self.chance.choice(["", f"day{self._made // 100}/", f"day{self._made // 100}/grids and 'more'/"])
        self._at(folder).mkdir(parents=True, exist_ok=True)
        return f"{folder}{self._made:06}-{self.chance.choice(['fox', 'owl', 'élan'])}.bin"

    def _bytes(self) -> bytes:
        kind = self.chance.random()
        size = 0 if kind < 0.03 else self.chance.randrange(3_000_000, 12_000_000) if kind > 0.99 else self.chance.randrange(80_000)
        return self.chance.randbytes(size)

    def _any(self) -> str:
        if not self.ledger.now:
            raise FileNotFoundError
        return self.chance.choice(list(self.ledger.now))

    def _a_fresh_one(self) -> str:
        limit_s = time.monotonic() - FRESH_S
        self._fresh = {path: at_s for path, at_s in self._fresh.items() if at_s > limit_s and path in self.ledger.now}
        if not self._fresh:
            raise FileNotFoundError
        return self.chance.choice(list(self._fresh))
