"""Somebody who uses a box, and keeps a ledger of what he does."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.soak.ledger import MUTABLE, Ledger
from tests.soak.proof import PRESERVED
from tests.soak.witness import Witness

FRESH_S = 1.0
"""A file is written to in place only while it is so young. Who writes to an old file in the moment in which it is cleaned up has
opened what is about to be unlinked, and no program can help him; the cleanup age of a campaign is a multiple of this."""


class Writer(threading.Thread):
    """Creates, grows, rewrites, renames and deletes files of one box until told to stop."""

    def __init__(self, box: Path, ledger: Ledger, witness: Witness, seed: int, pause_s: float) -> None:
        super().__init__(name="writer", daemon=True)
        self.box, self.ledger, self.witness, self.chance, self.pause_s = box, ledger, witness, random.Random(seed), pause_s
        self.did = Counter[str]()
        self.ended = threading.Event()
        self.still = threading.Lock()
        """Held during each deed: who takes it, finds nothing half done."""
        self._fresh: dict[str, float] = {}
        self._made = 0
        self._log = b""

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        often = [self.create] * 8 + [self.create_slowly] * 3 + [self.grow, self.replace] * 2
        deeds = [*often, self.rewrite, self.rename, self.delete, self.log, self.use_again]
        while not self.ended.wait(self.pause_s):
            deed = self.chance.choice(deeds)
            with self.still, suppress(FileNotFoundError):  # forged has removed it meanwhile
                deed()
                self.did[deed.__name__] += 1

    # --- what people and programs do --------------------------------------------------------------------------------------

    def create(self) -> None:
        self._write(self._new_name(), self._bytes())

    def create_slowly(self) -> None:
        """As a program that flushes in the middle of a picture."""
        path, data = self._new_name(), self._bytes()
        part = len(data) // 3 or 1
        with self._at(path).open("wb", buffering=0) as file:
            self.ledger.note(path, b"")
            self.witness.watch(path)
            for start in range(0, len(data), part):
                self.ledger.note(path, data[: start + part])
                file.write(data[start : start + part])
                time.sleep(self.chance.random() * 0.02)
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

    def log(self) -> None:
        """One line more in a file that grows for ever; anew where forged has removed it."""
        there = self._at(MUTABLE).exists()
        data = (self._log if there else b"") + self.chance.randbytes(20).hex().encode() + b"\n"
        self._write(MUTABLE, data, "r+b" if there else "xb")
        self._log = data

    def replace(self) -> None:
        """By a rename over an old name, as careful programs do: at any age of the file. Of equal size and time now and then."""
        path = self._any()
        old = self._at(path).stat()
        data = self.chance.randbytes(old.st_size) if self.chance.random() < 0.3 else self._bytes()
        aside = self.box.parent / "replacement"
        aside.write_bytes(data)
        if self.chance.random() < 0.3:
            os.utime(aside, ns=(old.st_mtime_ns, old.st_mtime_ns))  # as an unpacker or a careless copy does: it looks old at once
        with self.ledger.lock:
            before = self._inode(path)
            self.ledger.note(path, data)
            aside.replace(self._at(path))
            if before is not None:
                self.witness.taken(before)
            self.witness.watch(path)
        self._touch(path)

    def rename(self) -> None:
        path, to = self._any(), self._new_name()
        with self.ledger.lock:
            inode = self._at(path).stat().st_ino
            os.rename(self._at(path), self._at(to))
            self.ledger.moved(path, to)
            self.witness.renamed(inode, to)

    def use_again(self) -> None:
        """A name whose file forged has removed, as programs that count from 1 again do."""
        there = set(self.witness.paths())
        self._write(self._one_of([path for path in self.ledger.now if path not in there]), self._bytes())

    def delete(self) -> None:
        path = self._any()
        with self.ledger.lock:
            inode = self._at(path).stat().st_ino
            self._at(path).unlink()
            self.ledger.deleted(path)
            self.witness.taken(inode)

    # ----------------------------------------------------------------------------------------------------------------------

    def _write(self, path: str, data: bytes, how: str = "wb") -> None:
        before = self.ledger.now.get(path)
        self.ledger.may_show(path, b"")
        with self._at(path).open(how) as file:
            self.ledger.note(path, data)
            self.witness.watch(path)
            file.write(data)
            file.flush()
            if before is not None and not os.fstat(file.fileno()).st_nlink:
                self.ledger.now[path] = before  # the machine stood still: forged has removed it since it was opened
                raise FileNotFoundError(path)
        self._touch(path)

    def _touch(self, path: str) -> None:
        if path != MUTABLE:
            self._fresh[path] = time.monotonic()

    def _at(self, path: str) -> Path:
        return self.box / path

    def _inode(self, path: str) -> int | None:
        with suppress(FileNotFoundError):
            return self._at(path).stat().st_ino
        return None

    def _new_name(self, suffix: str = "") -> str:
        self._made += 1
        folder = self.chance.choice(["", f"day{self._made // 100}/", f"day{self._made // 100}/grids and 'more'/"])
        self._at(folder).mkdir(parents=True, exist_ok=True)
        suffix = suffix or self.chance.choice([".bin"] * 60 + [PRESERVED])
        return f"{folder}{self._made:06}-{self.chance.choice(['fox', 'owl', 'élan'])}{suffix}"

    def _bytes(self) -> bytes:
        kind = self.chance.random()
        size = 0 if kind < 0.03 else self.chance.randrange(3_000_000, 12_000_000) if kind > 0.99 else self.chance.randrange(80_000)
        return self.chance.randbytes(size)

    def _any(self) -> str:
        """A file that is there, of any age."""
        return self._one_of([path for path in self.witness.paths() if path != MUTABLE])

    def _one_of(self, paths: Sequence[str]) -> str:
        if not paths:
            raise FileNotFoundError
        return self.chance.choice(paths)

    def _a_fresh_one(self) -> str:
        limit_s = time.monotonic() - FRESH_S
        self._fresh = {path: at_s for path, at_s in self._fresh.items() if at_s > limit_s and path in self.ledger.now}
        return self._one_of(list(self._fresh))
