"""A ledger of all that was ever in a box: what forged is held to in the end."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field

MUTABLE = "log.csv"
"""The one file of a campaign that grows for ever, and whose copy at home may be replaced."""


@dataclass
class Ledger:
    """Every content that ever was under every path, and what is there now as far as the writer knows.

    `lock` is held during each deed that takes a name away, so that who sees a file go can tell whether the writer did it.
    """

    now: dict[str, str] = field(default_factory=dict)
    """Path to sha256. A file that is not on the box although it is here was removed by forged."""
    ever: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def may_show(self, path: str, data: bytes) -> None:
        """To be told before it is written: from now on somebody may find this in the file."""
        with self.lock:
            self.ever[path].add(hashlib.sha256(data).hexdigest())

    def note(self, path: str, data: bytes) -> None:
        """This is what the file holds from now on."""
        with self.lock:
            self.may_show(path, data)
            self.now[path] = hashlib.sha256(data).hexdigest()

    def moved(self, path: str, to: str) -> None:
        with self.lock:
            self.now[to] = self.now.pop(path)
            self.ever[to].add(self.now[to])

    def deleted(self, path: str) -> None:
        with self.lock:
            del self.now[path]

    def had(self, path: str, sha256: str) -> bool:
        """Whether this content ever was under this path."""
        with self.lock:
            return sha256 in self.ever.get(path, ())
