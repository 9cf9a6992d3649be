"""What waits to be sent to one peer: answers, which are never lost, and notifications, of which a slow peer loses the oldest.

Putting in never waits; one task a connection carries lines to the socket as fast as the peer takes them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from itertools import count
from typing import Protocol

from forged.control.protocol import notification_line

NOTES_MOST = 1000
NOTES_MOST_BYTES = 1024 * 1024
"""Notifications that wait for one peer. Four a second a job: a peer that has not taken a thousand does not follow any more."""

ROOM_BYTES = 256 * 1024
"""Who leaves more than this untaken is not read from, so that a flood of requests cannot pile up answers."""

BACKLOG_MOST_BYTES = 64 * 1024 * 1024
"""Waiting for all peers together. A peer that behaves has one answer of at most 1 MiB on its way; this is sixty of them."""

_CHUNK_BYTES = 64 * 1024
"""Joined into one write: many short lines would cost a system call each. A larger one only waits longer in the transport."""


class Writer(Protocol):
    """As much of asyncio.StreamWriter as sending needs."""

    def write(self, data: bytes, /) -> None: ...

    async def drain(self) -> None: ...


class Backlog:
    """The untaken bytes of all connections. Beyond the bound, the connection that holds most of them is cut off, no other one."""

    def __init__(self, most_bytes: int = BACKLOG_MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._queues: set[SendQueue] = set()
        self.unsent_bytes = 0
        self.dropped = 0
        """Notifications that slow peers have lost, since the start."""

    def join(self, queue: SendQueue) -> None:
        self._queues.add(queue)

    def leave(self, queue: SendQueue) -> None:
        self._queues.discard(queue)

    def grow(self, size_bytes: int) -> None:
        """`size_bytes` more (or fewer) wait."""
        self.unsent_bytes += size_bytes
        if self.unsent_bytes > self._most_bytes:
            max(self._queues, key=lambda queue: queue.unsent_bytes).overflow()


class SendQueue:
    """The lines for one peer, in the order they were put in. After `close` it takes nothing and holds nothing.

    `on_taken` is called each time the peer has taken all, `on_overflow` when it must be cut off.
    """

    def __init__(self, backlog: Backlog, on_taken: Callable[[], None], on_overflow: Callable[[], None]) -> None:
        self._backlog, self._on_taken, self.overflow = backlog, on_taken, on_overflow
        self._numbers = count()
        self._answers: deque[tuple[int, bytes]] = deque()
        self._notes: OrderedDict[Hashable, tuple[int, bytes]] = OrderedDict()
        self._notes_bytes = 0
        self._lost = 0
        self._something = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_open = True
        self.unsent_bytes = 0
        backlog.join(self)

    @property
    def is_empty(self) -> bool:
        """Whether the peer (or at least the kernel) has all of it."""
        return self.unsent_bytes == 0

    def put_answer(self, line: bytes) -> None:
        """An answer, without its newline. It is sent, or the connection ends."""
        if self._is_open:
            self._answers.append((next(self._numbers), line + b"\n"))
            self._grow(len(line) + 1)

    def put_note(self, line: bytes, slot: Hashable = None) -> None:
        """A notification, without its newline. While one of the same `slot` waits, the new one takes its place in the line."""
        if not self._is_open:
            return
        number = next(self._numbers)
        before = self._notes.get(slot) if slot is not None else None
        self._notes[number if slot is None else slot] = (before[0] if before else number, line + b"\n")
        more_bytes = len(line) + 1 - (len(before[1]) if before else 0)
        self._notes_bytes += more_bytes
        self._grow(more_bytes)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._notes) > NOTES_MOST or self._notes_bytes > NOTES_MOST_BYTES:
            _, (_, line) = self._notes.popitem(last=False)
            self._notes_bytes -= len(line)
            self._lost += 1
            self._backlog.dropped += 1
            self._grow(-len(line))

    async def room(self) -> None:
        """Waits until the peer has taken most of what there is for it, or is gone."""
        await self._has_room.wait()

    async def send_to(self, writer: Writer) -> None:
        """Carries lines to the writer until cancelled. Raises ConnectionError when the peer is gone.

        The writer's high-water mark must be 0: what it still holds counts as not taken.
        """
        while True:
            await self._something.wait()
            chunk, untaken_bytes = self._take()
            writer.write(chunk)
            await writer.drain()
            self._grow(-untaken_bytes)
            if self.is_empty:
                self._on_taken()

    def close(self) -> None:
        """Forgets all lines."""
        self._is_open = False
        self._answers.clear()
        self._notes.clear()
        self._grow(-self.unsent_bytes)
        self._backlog.leave(self)

    def _grow(self, size_bytes: int) -> None:
        if not self._is_open:
            size_bytes = -self.unsent_bytes
        self.unsent_bytes += size_bytes
        _set_if(self._something, bool(self._answers or self._notes))
        _set_if(self._has_room, self.unsent_bytes <= ROOM_BYTES)
        self._backlog.grow(size_bytes)

    def _take(self) -> tuple[bytes, int]:
        """The next chunk, and how many of its bytes are counted as unsent."""
        lines: list[bytes] = []
        size_bytes = counted_bytes = 0
        while size_bytes < _CHUNK_BYTES and (self._answers or self._notes):
            if self._is_a_note_next() and self._lost:
                lines.append(notification_line("rpc.dropped", {"count": self._lost}) + b"\n")
                self._lost = 0
            else:
                lines.append(self._next())
                counted_bytes += len(lines[-1])
            size_bytes += len(lines[-1])
        _set_if(self._something, bool(self._answers or self._notes))
        return b"".join(lines), counted_bytes

    def _is_a_note_next(self) -> bool:
        if not self._notes or not self._answers:
            return bool(self._notes)
        return next(iter(self._notes.values()))[0] < self._answers[0][0]

    def _next(self) -> bytes:
        if not self._is_a_note_next():
            return self._answers.popleft()[1]
        _, (_, line) = self._notes.popitem(last=False)
        self._notes_bytes -= len(line)
        return line


def _set_if(event: asyncio.Event, condition: bool) -> None:
    if condition:
        event.set()
    else:
        event.clear()
