"""The helper process: started by `process`, with its first socket as standard input.

Over that comes the shared memory, then a new socket each time, and what it is for: which desk, and whose. Each socket gets a
thread, which does one call after the other.
"""

from __future__ import annotations

import importlib
import os
import pickle
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from forged.destination.apart.letters import Trouble, exactly, packed, received, trouble
from forged.destination.desk import Desk
from forged.destination.plain import Chunk, Pour, Written
from forged.destination.staging import Inspect
from forged.kit import arena, child
from forged.model.errors import ForgedError
from forged.model.target import HomePolicy

STACK_BYTES = 1 << 20
"""Of a thread; nothing here calls deeply, and there are three threads for each target."""

MOST_LETTER_BYTES = 1 << 16
"""Of what comes with a new socket: a policy with its path."""


SharedPour: TypeAlias = tuple[str, int, int, int, int, bool]
"""A `Pour` with the number of its bytes in place of the bytes."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new socket is for. `desk` tells desks apart; `inspect` is a function by its name, `module:function`."""

    desk: int
    home: HomePolicy
    namespace: str
    min_free_bytes: int
    inspect: str

    def numbered(self, desk: int) -> Opening:
        return replace(self, desk=desk)


class ApartDesk(Desk):
    """A desk that finds the bytes of a `write` in shared memory, or behind the call."""

    def __init__(self, opening: Opening, shared: memoryview) -> None:
        super().__init__(opening.home, opening.namespace, opening.min_free_bytes, _found(opening.inspect))
        self._shared = shared

    def call(self, name: str, args: Sequence[object]) -> object:
        """Does one call by its name."""
        return self.do(getattr(ApartDesk, name), *args)

    def write_shared(self, pours: Sequence[SharedPour], start: int) -> Written:
        """`write`; the bytes lie behind each other in the memory from `start` on."""
        return self._write_from(self._shared, pours, start)

    def write_sent(self, pours: Sequence[SharedPour], data: memoryview) -> Written:
        """`write`; the bytes came over the socket."""
        return self._write_from(data, pours, 0)

    def _write_from(self, data: memoryview, pours: Sequence[SharedPour], start: int) -> Written:
        found: list[Pour] = []
        for staging, attempt, resume_bytes, offset_bytes, size_bytes, last in pours:
            end = start + size_bytes
            chunks: tuple[Chunk, ...] = (data[start:end],) if end > start else ()
            found.append((staging, attempt, resume_bytes, offset_bytes, chunks, last))
            start = end
        return self.write(found)


def _found(name: str) -> Inspect:
    module, _, function = name.partition(":")
    found: Inspect = getattr(importlib.import_module(module), function)
    return found


class Desks:
    """The desks that sockets are open for."""

    def __init__(self, shared: memoryview) -> None:
        self._shared = shared
        self._desks: dict[int, ApartDesk] = {}
        self._users: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def _used(self, opening: Opening) -> Iterator[ApartDesk]:
        """The desk; it goes with its last user."""
        with self._lock:
            self._users[opening.desk] += 1
            desk = self._desks.get(opening.desk) or ApartDesk(opening, self._shared)
            self._desks[opening.desk] = desk
        try:
            yield desk
        finally:
            with self._lock:
                self._users[opening.desk] -= 1
                if not self._users[opening.desk]:
                    del self._users[opening.desk], self._desks[opening.desk]

    def serve(self, end: socket.socket, opening: Opening) -> None:
        """One call after the other, until the other side closes.

        A mistake of ours ends this socket and no other: Python tells of it on standard error, and who asked sees the end.
        """
        with self._used(opening) as desk, end, suppress(ConnectionError):  # a daemon that was killed takes no leave
            while (call := received(end)) is not None:
                name, args = call
                if name == ApartDesk.write_sent.__name__:
                    pours = cast("Sequence[SharedPour]", args[0])
                    args = (pours, exactly(end, sum([size_bytes for *_, size_bytes, _ in pours])))
                end.sendall(packed(_answer(desk, name, args)))


def _answer(desk: ApartDesk, name: str, args: Sequence[object]) -> tuple[Trouble | None, object]:
    try:
        return None, desk.call(name, args)
    except ForgedError as error:
        return trouble(error), None


def main() -> None:
    """Until the first socket closes. Whatever threads still do then is as good as killed."""
    child.begin()
    threading.stack_size(STACK_BYTES)
    control = socket.socket(fileno=0)
    _, fds, _, _ = socket.recv_fds(control, 1, 1)
    desks = Desks(arena.opened(fds[0]))
    while True:
        letter, fds, _, _ = socket.recv_fds(control, MOST_LETTER_BYTES, 1)
        if not letter:
            os._exit(0)
        threading.Thread(target=desks.serve, args=(socket.socket(fileno=fds[0]), pickle.loads(letter)), daemon=True).start()
