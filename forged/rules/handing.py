"""Has every required ingest handler taken a file? Promises 3 and 14, from what the store knows of one moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from forged.model.handing import Handed
from forged.model.manifest import ManifestRow


def missing(row: ManifestRow, key: str, required: Sequence[str], handed: Handed) -> str | None:
    """Which of these handlers has not taken this version, and why, in words for people; None: all have. `key`: of its events.

    A handler has taken it when an event of it was put into the outbox for that handler, and none of them waits any more.
    """
    for handler in required:
        if (why := _missing(row, key, handler, handed)) is not None:
            return f"required ingest {handler} has not taken it: {why}"
    return None


def _missing(row: ManifestRow, key: str, handler: str, handed: Handed) -> str | None:
    if (handler, key) in handed.aside:
        return f"it is set aside (`forgectl ingest retry {handler}`, or drop)"
    if (handler, key) in handed.waiting:
        return "it waits in the outbox"
    if row.path in handed.to_examine:
        return "it is to be looked into first"
    return None if _was_put(row, handler, handed) else f"it was home before (`forgectl ingest replay {handler}`)"


def _was_put(row: ManifestRow, handler: str, handed: Handed) -> bool:
    """When it landed, or by a replay that has come past it."""
    since_ns = handed.since_ns.get(handler)
    if since_ns is not None and row.landed_at_ns >= since_ns:
        return True
    if handler not in handed.replayed:
        return False
    upto = handed.replayed[handler]
    return upto is None or row.path <= upto
