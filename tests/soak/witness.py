"""Who sees each file go. A file of the box is held open from its first moment, so that it can still be read when its last name is
gone, and the kernel tells to the nanosecond when that was. What the writer did not take away, forged did, and has to have proof.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.soak.ledger import Ledger

LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Gone:
    """A file that forged has removed at the box: what it was, and when (its ctime is the moment of the unlink)."""

    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    at_ns: int


@dataclass(slots=True)
class _Watched:
    path: str
    fd: int


class Witness(threading.Thread):
    """Watches the files that it is told of. `judge` answers what is missing from the proof of a removal; empty = it is proven."""

    def __init__(self, box: Path, ledger: Ledger, judge: Callable[[Gone], str]) -> None:
        super().__init__(name="witness", daemon=True)
        self._box, self._ledger, self._judge = box, ledger, judge
        self._watched: dict[int, _Watched] = {}
        self._ended = threading.Event()
        self.removals: list[Gone] = []
        self.unproven: list[str] = []
        self.news = threading.Event()
        """Set when forged has removed something."""

    def __enter__(self) -> Witness:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self.look()
        for watched in self._watched.values():
            os.close(watched.fd)

    def run(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            self.look()

    # --- told by the writer -----------------------------------------------------------------------------------------------

    def watch(self, path: str) -> None:
        """There is a file under this path, perhaps a new one. It may be gone already."""
        with self._ledger.lock, suppress(FileNotFoundError):
            fd = os.open(self._box / path, os.O_RDONLY)
            inode = os.fstat(fd).st_ino
            if inode in self._watched:
                os.close(fd)
            else:
                self._watched[inode] = _Watched(path, fd)

    def paths(self) -> list[str]:
        """What is at the box, as far as is known."""
        with self._ledger.lock:
            return [watched.path for watched in self._watched.values()]

    def renamed(self, inode: int, to: str) -> None:
        """With the ledger's lock held."""
        if inode in self._watched:
            self._watched[inode].path = to

    def taken(self, inode: int) -> None:
        """The writer has just taken a name away, with the ledger's lock held. A file that still has one is not gone by his hand."""
        watched = self._watched.get(inode)
        if watched is not None and not os.fstat(watched.fd).st_nlink:
            self._forget(inode)

    # --- looking ----------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Judges what has gone since the last look."""
        with self._ledger.lock:
            gone = [inode for inode, watched in self._watched.items() if not os.fstat(watched.fd).st_nlink]
            for inode in gone:
                self._judged(self._watched[inode])
                self._forget(inode)
        if gone:
            self.news.set()

    def _judged(self, watched: _Watched) -> None:
        seen = os.fstat(watched.fd)
        os.lseek(watched.fd, 0, os.SEEK_SET)
        with os.fdopen(os.dup(watched.fd), "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        gone = Gone(watched.path, sha256, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        self.removals.append(gone)
        if doubt := self._judge(gone):
            self.unproven.append(f"{gone.path} ({sha256[:8]}, {gone.size_bytes} bytes) was removed at the box, but {doubt}")

    def _forget(self, inode: int) -> None:
        os.close(self._watched.pop(inode).fd)
