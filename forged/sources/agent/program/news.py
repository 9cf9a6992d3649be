"""What a watch saw happen, kept until it is told: each file once, packed into blocks."""

import math
import time
from typing import Dict, Iterator, List, Optional

from forged.sources.agent.program.line import CLOSED, FACTS, FOUND, GONE, MAX_NEWS_BYTES, NEWS, NOTICE
from forged.sources.agent.program.tree import Tree

# How long a file that is there may take to be closed before it is told as merely found. Most pictures are written in less, so
# they are told once; a hard link, which nobody closes, comes this much later.
PATIENCE_S = 0.5

MAX_WAITING = 16384  # files that may wait to be closed; beyond that (a large tree was moved in) a listing is cheaper


class News:
    """What happened and was not told yet. At the beginning there is always something to tell: that the watch is in place."""

    def __init__(self) -> None:
        self._happened: Dict[bytes, int] = {}
        self._waiting: Dict[bytes, float] = {}
        self._told_unwatched = -1
        self.unwatched = 0  # folders for which the kernel has no watch left
        self.missed = False  # something happened that only a listing can tell now

    def closed(self, path: bytes) -> None:
        """A file was closed after writing, or renamed to this name."""
        self._note(path, CLOSED)

    def gone(self, path: bytes) -> None:
        """A file was deleted, or renamed to another name."""
        self._note(path, GONE)

    def _note(self, path: bytes, what: int) -> None:
        self._waiting.pop(path, None)
        self._happened[path] = what

    def seen(self, path: bytes) -> None:
        """A file is there, and perhaps still being written."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.clear()
            self.missed = True
        self._waiting.setdefault(path, time.monotonic() + PATIENCE_S)

    def patience_ms(self) -> Optional[int]:
        """How long there is nothing to tell if nothing happens; None for ever."""
        for due_s in self._waiting.values():  # the oldest comes first
            return max(0, math.ceil((due_s - time.monotonic()) * 1000))
        return None

    def blocks(self, tree: Tree) -> Iterator[bytes]:
        """Takes what is to be told now, packed. Files come as they look now; whatever is no regular file is left out."""
        block = b""
        for record in self._records(tree):
            if NEWS.size + len(block) + len(record) > MAX_NEWS_BYTES:
                yield self._head() + block
                block = b""
            block += record
        if block or self.missed or self.unwatched != self._told_unwatched:
            yield self._head() + block

    def _head(self) -> bytes:
        head = NEWS.pack(self.missed, self.unwatched)
        self.missed, self._told_unwatched = False, self.unwatched
        return head

    def _records(self, tree: Tree) -> Iterator[bytes]:
        happened, self._happened = self._happened, {}
        for path, looks in tree.looks([path for path, what in happened.items() if what == CLOSED]):
            yield NOTICE.pack(CLOSED, len(path)) + path + FACTS.pack(*looks)
        for path in [path for path, what in happened.items() if what == GONE]:
            yield NOTICE.pack(GONE, len(path)) + path
        for path, looks in tree.looks(self._overdue()):
            yield NOTICE.pack(FOUND, len(path)) + path + FACTS.pack(*looks)

    def _overdue(self) -> List[bytes]:
        now_s = time.monotonic()
        overdue = [path for path, due_s in self._waiting.items() if due_s <= now_s]
        for path in overdue:
            del self._waiting[path]
        return overdue
