"""What goes over a socket between the daemon and its helper: a length, and that many bytes of `marshal`, both ways. Behind a
call may come bytes of files, as they are: `ApartDesk.write_sent` says how many.

Both ends run the same interpreter, and only they hold the sockets: `marshal` is neither stable nor safe beyond that, and takes a
tenth of the time of anything that is.
"""

from __future__ import annotations

import marshal
import socket
from typing import TypeAlias, cast

from forged.model import errors
from forged.model.errors import DestinationError, DiskFull, ForgedError

LENGTH_BYTES = 4
"""An unsigned big-endian number."""

Call: TypeAlias = tuple[str, tuple[object, ...]]
"""The name of a desk's method, and its arguments."""

Trouble: TypeAlias = tuple[str, str, str, int | None]
"""An error: the name of its class, its message, its hint, and how many bytes are free (of DiskFull)."""


def packed(content: object) -> bytes:
    """A letter ready to be sent."""
    data = marshal.dumps(content)  # type: ignore[arg-type]  # plain values, see `plain`
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def received(end: socket.socket) -> Call | None:
    """Waits for the next call; None when the other side has closed."""
    length = exactly(end, LENGTH_BYTES)
    data = exactly(end, int.from_bytes(length, "big")) if length is not None else None
    return cast("Call", marshal.loads(data)) if data is not None else None


def exactly(end: socket.socket, size_bytes: int) -> memoryview | None:
    """Waits for so many bytes; None when the other side has closed before."""
    data = memoryview(bytearray(size_bytes))
    got = 0
    while got < size_bytes:
        count = end.recv_into(data[got:])
        if not count:
            return None
        got += count
    return data


def trouble(error: ForgedError) -> Trouble:
    """An error, to be sent."""
    return type(error).__name__, error.message, error.hint, error.free_bytes if isinstance(error, DiskFull) else None


def raised(told: Trouble) -> ForgedError:
    """The error that was sent."""
    name, message, hint, free_bytes = told
    kind: type[ForgedError] = getattr(errors, name)
    return DiskFull(message, hint=hint, free_bytes=free_bytes) if kind is DiskFull else kind(message, hint=hint)


def ended(why: str = "the process that writes at home has ended") -> DestinationError:
    """What whoever waits for the helper is told when it is gone."""
    return DestinationError(why, hint="forged starts it again; the log or dmesg may say why it ended")
