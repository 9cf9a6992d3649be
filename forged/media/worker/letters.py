"""What goes between the daemon and a worker.

To it: one message for each file (SOCK_SEQPACKET), with the open descriptors in tow. From it: a length and that many bytes of
MessagePack, because an answer is larger than what such a socket takes at once. The worker has read hostile bytes, so its
answers are checked like anybody's: length first, then every type.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from forged.media.base import Found, Wanted
from forged.media.worker.limits import Limits
from forged.model.media import MediaInfo, MediaKind

LENGTH_BYTES = 4
"""An unsigned big-endian number."""

MOST_COMPANIONS = 8
"""Files beside a file that say more of it; there are one or two."""

MOST_REQUEST_BYTES = 1 << 14
"""Names of at most 255 bytes for a file and its companions."""

UNREAD = MediaInfo(MediaKind.OTHER, "")
"""What is known of a file that nobody could look into."""


class Opening(Struct, frozen=True):
    """The first message to a new worker. `looker`: what looks into a file, `module:function`."""

    looker: str
    limits: Limits


class Named(Struct, frozen=True):
    """One of the descriptors that come along, in their order."""

    name: str
    size_bytes: int


class Asked(Struct, frozen=True):
    """Look into the first of these files."""

    number: int
    files: tuple[Named, ...]
    wanted: Wanted


class Ready(Struct, frozen=True, tag="ready"):
    """The first answer. `confinement`: what holds this process besides its limits."""

    confinement: str


class Answered(Struct, frozen=True, tag="answered"):
    """What was found in the file of that number."""

    number: int
    found: Found


class Rubbish(Exception):
    """Bytes that are no answer: whoever sends them is no worker of ours any more."""


_ANSWER: msgspec.msgpack.Decoder[Ready | Answered] = msgspec.msgpack.Decoder(Ready | Answered)


def packed(content: Ready | Answered) -> bytes:
    """An answer ready to be sent. Raises UnicodeEncodeError for a lone surrogate."""
    data = msgspec.msgpack.encode(content)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def cut(received: bytearray, most_bytes: int) -> Ready | Answered | None:
    """Takes the next answer out of what was received; None where it is not all there yet. Raises Rubbish."""
    if len(received) < LENGTH_BYTES:
        return None
    end = LENGTH_BYTES + int.from_bytes(received[:LENGTH_BYTES], "big")
    if end - LENGTH_BYTES > most_bytes:
        raise Rubbish(f"an answer of {end - LENGTH_BYTES} bytes")
    if len(received) < end:
        return None
    data = bytes(received[LENGTH_BYTES:end])
    del received[:end]
    try:
        return _ANSWER.decode(data)
    except msgspec.MsgspecError as e:
        raise Rubbish(str(e)) from e
