"""Events of files as those read them who put them into tables. Pure."""

from __future__ import annotations

import base64
import binascii

import msgspec

from forged.model.errors import IngestRefused
from forged.model.events import Event, EventKind
from forged.model.ingest import FileBody, read

ABOUT_FILES = frozenset({EventKind.FILE_SYNCED, EventKind.FILE_REMOVED})
"""The kinds that have a body of a file."""

BIGINT = 2**63
"""What neither PostgreSQL's bigint nor SQLite's integer holds any more."""

STAND_IN = "\ufffd"


def body_of(event: Event) -> FileBody:
    """Raises IngestRefused for a file's event that has no body of one."""
    try:
        return read(event.body)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as e:
        raise IngestRefused(
            f"event {event.id} ({event.kind.value}) has no body of a file", hint="this is a fault of ours", about=(event.id,)
        ) from e


def clean(text: str) -> str:
    """Without NUL: PostgreSQL takes none, and SQLite's functions stop there."""
    return text if "\0" not in text else text.replace("\0", STAND_IN)


def clean_or_none(text: str | None) -> str | None:
    return None if text is None else clean(text)


def whole(number: int | None) -> int | None:
    """None where it is no 64-bit integer: nothing of ours, and nothing that a picture can have."""
    return number if number is not None and -BIGINT <= number < BIGINT else None


def raw(text: str, b64: str | None) -> bytes:
    """The bytes of a path."""
    return decoded(b64) or text.encode("utf-8", "replace")


def decoded(b64: str | None) -> bytes | None:
    """The exact bytes of a path that is not UTF-8."""
    try:
        return None if b64 is None else base64.b64decode(b64)
    except binascii.Error:
        return None
