"""A listing of a local folder: the agent's walk and blocks, read as if an agent had sent them."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from forged.model.files import ListingEnd, ListingPart, SamePart
from forged.model.paths import SourcePath
from forged.sources.agent.blocks import BlockReader
from forged.sources.agent.listing import askable, outermost
from forged.sources.agent.program.blocks import Blocks
from forged.sources.agent.program.line import Trouble
from forged.sources.agent.program.listing import Walk
from forged.sources.local_threads import Feed
from forged.sources.local_tree import AtHome, LocalTree

LocalFeed = Feed[ListingPart | SamePart | ListingEnd]


class LocalBlocks(Blocks):
    """Puts out the parts that an agent's client would answer. What lies at home is left out without a word: it is no problem."""

    def __init__(self, feed: LocalFeed, folders: Sequence[SourcePath], known: Sequence[bytes]) -> None:
        super().__init__(self._put, self._put_same, {digest: place for place, digest in enumerate(known)})
        self._feed, self._reader = feed, BlockReader(folders, known)

    def _put(self, block: bytes) -> None:
        self._feed.put(self._reader.part(block))

    def _put_same(self, places: bytes) -> None:
        for part in self._reader.same(places):
            self._feed.put(part)

    def problem(self, path: bytes, trouble: Trouble) -> None:
        if not isinstance(trouble, AtHome):
            super().problem(path, trouble)


def walk(tree: LocalTree, folders: Sequence[SourcePath], known: Collection[bytes], feed: LocalFeed) -> None:
    """Lists into the feed, the end included. Raises SourceMissing when the root is not there, or not there any more."""
    began_ns = time.time_ns()
    tree.refresh()
    wanted = outermost(folders)
    blocks = LocalBlocks(feed, wanted, askable(known))
    Walk(tree, blocks, feed.check).below(wanted or (b"",))
    blocks.flush()
    tree.must_be_there()
    feed.put(ListingEnd(blocks.entries, began_ns))
