"""A listing of a local folder: the agent's walk, its findings collected into parts instead of compressed blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from forged.model.errors import NotSupported
from forged.model.files import Entry, ListingEnd, ListingPart, Problem
from forged.model.paths import SourcePath
from forged.sources.agent.listing import outermost
from forged.sources.agent.program.line import Trouble
from forged.sources.agent.program.listing import Blocks, Walk
from forged.sources.local_threads import Outbox
from forged.sources.local_tree import AtHome, LocalTree, entry_of, problem_of

PART_ENTRIES = 1_024
"""As many as a block of the agent holds; the contract allows 4,096."""


class Parts(Blocks):
    """Collects what a walk finds, and puts it out in parts. What lies at home is left out without a word: it is no problem."""

    def __init__(self, outbox: Outbox[ListingPart | ListingEnd]) -> None:
        super().__init__(_no_blocks)
        self._outbox = outbox
        self._found: list[Entry] = []
        self._problems: list[Problem] = []

    def entry(self, prefix: bytes, name: bytes, seen: os.stat_result) -> None:
        self.entries += 1
        self._found.append(entry_of(prefix + name, seen))
        self._flush_when_full()

    def problem(self, path: bytes, trouble: Trouble) -> None:
        if not isinstance(trouble, AtHome):
            self._problems.append(problem_of(path, trouble))
            self._flush_when_full()

    def _flush_when_full(self) -> None:
        if len(self._found) + len(self._problems) >= PART_ENTRIES:
            self.flush()

    def flush(self) -> None:
        if self._found or self._problems:
            self._outbox.put(ListingPart(tuple(self._found), tuple(self._problems)))
        self._found, self._problems = [], []


def walk(tree: LocalTree, folders: Sequence[SourcePath], outbox: Outbox[ListingPart | ListingEnd]) -> None:
    """Lists into the outbox, the end included. Raises SourceMissing when the root is not there, or not there any more."""
    began_ns = time.time_ns()
    tree.refresh()
    parts = Parts(outbox)
    Walk(tree, parts, outbox.check).below(outermost(folders) or (b"",))
    parts.flush()
    tree.must_be_there()
    outbox.put(ListingEnd(parts.entries, began_ns))


def _no_blocks(_: bytes) -> None:
    """Parts makes no blocks; one that comes here has gone astray."""
    raise NotSupported("a local listing has no blocks")
