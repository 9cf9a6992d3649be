"""What events of files say: the body that every ingest handler gets, as JSON (`model.events.Event.body`) and as this noun.

Keys are only ever added. No text holds lone surrogates: a name that is not UTF-8 is in `path` as it may be shown, and in `path_b64`
as it is.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from forged.model.media import MediaInfo


class FileBody(Struct, frozen=True, omit_defaults=True):
    """Of `file_synced` and `file_removed`."""

    path: str
    """At the source, below the target's root."""
    home: str
    """The whole path at home."""
    size: int
    sha256: str
    """64 hexadecimal digits."""
    mtime_ns: int
    """At the source, by its clock."""
    landed_at_ns: int
    manifest: str
    """Whose memory it is in: the target's name, or the id of a rented instance."""
    incomplete: bool = False
    again: bool = False
    """It was looked into again (`media rerun`), or is brought again (`ingest replay`): nothing has landed."""
    media: MediaInfo | None = None
    """What is known of its inside, with its raw blocks; None where nobody looks into files."""
    path_b64: str | None = None
    home_b64: str | None = None
    discovery: str | None = None
    """The discovery that made the target."""


def written(body: FileBody) -> str:
    """As the body of an event."""
    return msgspec.json.encode(body).decode()


def read(body: str) -> FileBody:
    """Raises msgspec.DecodeError for what is no body of a file."""
    return msgspec.json.decode(body, type=FileBody)
