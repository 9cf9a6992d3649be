"""The server: lets peers in, bounds how many, and sends them home in order at the end."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TypeVar

from forged.control.conversation import Acted, Conversation, Report, nobody_listens
from forged.control.errors import TooBusy
from forged.control.hangups import Hangups
from forged.control.listening import Listening
from forged.control.peers import Admission, Peer
from forged.control.protocol import LINE_MOST_BYTES, error_line
from forged.control.publisher import Publisher
from forged.control.registry import Registry
from forged.control.sending import Backlog

CONNECTIONS_MOST = 256
"""Each may hold 2 MiB of a line that does not end, and some memory for its buffers."""

CONNECTIONS_MOST_OF_ONE = 64
"""Of one user. As many are kept free for root, so that whoever holds all others cannot keep root from looking and stopping."""

FLUSH_S = 1.0
"""What a peer has at the end to take its last answers, after the calls have ended. A living one needs a millisecond."""


T = TypeVar("T")


class Seats:
    """How many connections there may be, in all and of one user."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()

    def take(self, uid: int) -> bool:
        """Whether there was room."""
        kept_free = 0 if uid == 0 else CONNECTIONS_MOST_OF_ONE - self._taken[0]
        has_room = self._taken[uid] < CONNECTIONS_MOST_OF_ONE and self._taken.total() + kept_free < CONNECTIONS_MOST
        self._taken[uid] += has_room
        return has_room

    def leave(self, uid: int) -> None:
        self._taken[uid] -= 1
        if not self._taken[uid]:
            del self._taken[uid]


class Server:
    """Answers on one socket. `report` is told of faults in methods, which callers see as "Internal error" only;
    `acted` of each call that does more than look, when it is about to begin.

    `start` it once.
    """

    def __init__(self, registry: Registry, publisher: Publisher, *, report: Report, acted: Acted = nobody_listens) -> None:
        self._registry, self._publisher, self._report, self._acted = registry, publisher, report, acted
        self._backlog = Backlog()
        self._seats = Seats()
        self._conversations: dict[asyncio.Task[None], Conversation] = {}

    @property
    def connections(self) -> int:
        return len(self._conversations)

    @property
    def notifications_dropped(self) -> int:
        """How many notifications slow peers have lost, since the start."""
        return self._backlog.dropped

    async def start(self, listening: Listening) -> None:
        """Lets peers in from now on."""
        self._listening = listening
        self._admission = Admission(os.getuid(), listening.group)
        self._hangups = Hangups()
        # asyncio would unlink or refuse paths by its own rules; given a socket, it only accepts.
        self._server = await asyncio.start_unix_server(self._welcome, sock=listening.socket, limit=LINE_MOST_BYTES)

    async def stop(self, limit_s: float) -> None:
        """Lets nobody in, reads no more requests, answers those at work; what takes longer than `limit_s` is cancelled.

        Then takes at most twice `FLUSH_S` more, however slow the peers are. The socket is removed first. May be called again.
        """
        self._server.close()
        self._listening.close()
        for conversation in self._conversations.values():
            conversation.finish()
        # The calls, not the conversations: a peer that does not take its answers delays nothing but its own end.
        await _wait([call for conversation in self._conversations.values() for call in conversation.calls], limit_s)
        for conversation in self._conversations.values():
            conversation.cancel_calls()
        await _wait(self._conversations, FLUSH_S)
        for task in self._conversations:
            task.cancel()
        await _wait(self._conversations, FLUSH_S)
        self._hangups.close()

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = self._admission.peer(writer.get_extra_info("socket"))
        if not self._seats.take(peer.uid):
            writer.write(error_line(None, TooBusy(hint="too many connections are open: close some, or try again later")) + b"\n")
            writer.close()
            return
        conversation = Conversation(
            peer,
            reader,
            writer,
            registry=self._registry,
            publisher=self._publisher,
            backlog=self._backlog,
            hangups=self._hangups,
            report=self._report,
            acted=self._acted,
        )
        task = asyncio.create_task(conversation.run(), name=f"rpc/uid {peer.uid} pid {peer.pid}")
        self._conversations[task] = conversation
        task.add_done_callback(partial(self._goodbye, peer))

    def _goodbye(self, peer: Peer, task: asyncio.Task[None]) -> None:
        self._seats.leave(peer.uid)
        del self._conversations[task]
        if not task.cancelled() and (error := task.exception()):
            self._report("connection", error)


async def _wait(tasks: Iterable[asyncio.Task[T]], limit_s: float) -> None:
    if waited := list(tasks):
        await asyncio.wait(waited, timeout=limit_s)
