"""Empty files come home without the source: they have no bytes to ask for, and what a look saw of them is all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from forged.model.transfer import Fetched, Piece, Request, Sink

_NOTHING_SHA256 = hashlib.sha256(b"").digest()


async def fetched_empty(requests: Sequence[Request], sink: Sink) -> list[Fetched]:
    """What the source would answer for files that were seen to be empty, in order; all are staged in one go.

    Only for files that had settled when they were seen. Nobody looks at them again: one that is written to in just this moment
    comes home as it was seen, and its content with the next round, as after any other change. Raises DestinationError.
    """
    staged = await sink.write([Piece(request, 0, (), last=True) for request in requests])
    pairs = zip(requests, staged, strict=True)
    return [Fetched(request, request.entry.stat, request.entry.stat, _NOTHING_SHA256, done) for request, done in pairs]
