"""One connection from its first byte to its last: reads lines, runs the calls, sends the answers.

What a peer can cost is bounded: one line in the reader, 32 calls at work, and a queue that stops the reading while it is full.
After each line everybody else has a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial

from forged.control.errors import InternalError, InvalidRequest, Stopping
from forged.control.hangups import Hangups
from forged.control.peers import Level, Peer
from forged.control.protocol import Call, Refusal, error_line, parse, result_line
from forged.control.publisher import Connection, Publisher
from forged.control.registry import Method, Registry
from forged.control.replies import Reply
from forged.control.sending import Backlog, SendQueue
from forged.model.errors import Cancelled, ForgedError

CALLS_MOST = 32
"""At work for one connection at a time; more wait unread. A guess well above what a person or a dashboard asks at once."""

Report = Callable[[str, BaseException], None]
"""Told of a fault in forged: where (a method's name), and the exception."""

Acted = Callable[[str, Mapping[str, object], Peer], None]
"""Told that somebody has forged do something: which method, what it is called with, and who."""


def nobody_listens(method: str, arguments: Mapping[str, object], peer: Peer) -> None:
    """An Acted."""


class Conversation:
    """`run` it in a task. It ends when nothing more can come: the peer has sent its last line, has every answer, and follows
    nothing; or the peer is gone; or `finish` was called."""

    def __init__(
        self,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        registry: Registry,
        publisher: Publisher,
        backlog: Backlog,
        hangups: Hangups,
        report: Report,
        acted: Acted,
    ) -> None:
        self._reader, self._writer, self._registry, self._report = reader, writer, registry, report
        self._acted = acted
        self._hangups = hangups
        self._fd: int = writer.get_extra_info("socket").fileno()
        self._news = asyncio.Event()
        self._queue = SendQueue(backlog, on_taken=self._news.set, on_overflow=self._cut_off)
        self._connection = Connection(peer, self._queue, publisher, on_unsubscribed=self._news.set)
        self._slots = asyncio.Semaphore(CALLS_MOST)
        self._calls: dict[asyncio.Task[bytes], bool] = {}
        """The calls at work, and whether each goes on without its caller."""
        self._reading: asyncio.Task[None] | None = None
        self._awaits_line = self._is_gone = self._is_stopping = False

    @property
    def calls(self) -> Collection[asyncio.Task[bytes]]:
        """At work now."""
        return self._calls.keys()

    async def run(self) -> None:
        self._hangups.watch(self._fd, self._hang_up)
        # Above 0, a peer that does not read would keep some bytes in the transport, where nobody counts them.
        self._writer.transport.set_write_buffer_limits(high=0)
        sending = asyncio.create_task(self._send(), name="rpc/send")
        self._reading = asyncio.create_task(self._read(), name="rpc/read")
        try:
            await asyncio.wait([self._reading])
            await self._last_answers()
        finally:
            self._reading.cancel()
            sending.cancel()
            await self._close()
        if not self._reading.cancelled():
            self._reading.result()  # a fault in here goes to whoever watches this task

    def finish(self) -> None:
        """Reads no more, answers what is at work, then ends. What waits for its turn in a batch is refused."""
        self._is_stopping = True
        if self._reading and self._awaits_line:
            self._reading.cancel()
        self._news.set()

    def cancel_calls(self) -> None:
        """Ends what is still at work; its callers are told that forged is stopping."""
        for task in self._calls:
            task.cancel()

    # --- reading

    async def _read(self) -> None:
        while not self._is_stopping and (line := await self._line()):
            await self._take(line)
            await asyncio.sleep(0)  # a peer with many lines in the buffer would otherwise be the only one
            await self._queue.room()

    async def _line(self) -> bytes:
        """The next line, blank ones included; empty at the end."""
        self._awaits_line = True
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as e:
            return e.partial  # without a newline at the end, as `printf` sends it, it is a line nevertheless
        except asyncio.LimitOverrunError:
            self._queue.put_answer(error_line(None, InvalidRequest(hint="a line holds at most 1 MiB; the connection ends here")))
            self._connection.close()
        except OSError:
            self._hang_up()
        finally:
            self._awaits_line = False
        return b""

    async def _take(self, line: bytes) -> None:
        if line.isspace():
            return
        message = parse(line)
        reply = Reply(len(message.parts), is_batch=message.is_batch, send=self._queue.put_answer)
        for part in message.parts:
            if isinstance(part, Refusal):
                reply.add(part.id, error_line(part.id, part.error))
            else:
                await self._begin(part, reply)

    # --- calls

    async def _begin(self, call: Call, reply: Reply) -> None:
        try:
            method = self._registry.find(call.method)
        except ForgedError as e:
            reply.add(call.id, error_line(call.id, e) if call.wants_answer else None)
            return
        await self._slots.acquire()
        goes_on = method.finishes or not call.wants_answer
        if self._is_stopping or (self._is_gone and not goes_on):
            self._slots.release()
            reply.add(call.id, error_line(call.id, Stopping()) if call.wants_answer else None)
            return
        task = asyncio.create_task(self._carry_out(method, call), name=f"rpc/{method.name}")
        self._calls[task] = goes_on
        task.add_done_callback(partial(self._ended, call, reply))

    async def _carry_out(self, method: Method, call: Call) -> bytes:
        arguments = method.arguments(call.params, self._connection)
        if method.asks_for(call.params) > Level.LOOK:
            self._acted(method.name, arguments, self._connection.peer)
        result = await method.handler(**arguments)
        return result_line(call.id, result) if call.wants_answer else b""

    def _ended(self, call: Call, reply: Reply, task: asyncio.Task[bytes]) -> None:
        """Runs as the callback of each call's task, so that no exception needs to be caught to be answered."""
        del self._calls[task]
        self._slots.release()
        answer = self._answer(call, task)
        reply.add(call.id, answer if call.wants_answer else None)
        self._news.set()

    def _answer(self, call: Call, task: asyncio.Task[bytes]) -> bytes:
        if task.cancelled():
            return error_line(call.id, Stopping() if self._is_stopping else Cancelled("The call was cancelled."))
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, ForgedError):
            return error_line(call.id, error)
        self._report(call.method, error)
        return error_line(call.id, InternalError())

    # --- sending and ending

    async def _send(self) -> None:
        try:
            await self._queue.send_to(self._writer)
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        """The peer is gone. Calls that only it wanted are cancelled; notifications, and methods that finish, go on.

        What it sent before it went is still read: `socat -u` leaves as soon as it has sent its line.
        """
        self._is_gone = True
        self._queue.close()
        self._connection.close()
        for task, goes_on in self._calls.items():
            if not goes_on:
                task.cancel()
        self._news.set()

    def _cut_off(self) -> None:
        """The peer takes too much memory: it must go, with all that it has sent."""
        self._hang_up()
        self._writer.transport.abort()
        if self._reading:
            self._reading.cancel()

    async def _last_answers(self) -> None:
        """Half-closed peers (`nc -N`) still get what they asked for, and what they follow for as long as they live."""
        while self._calls or not (self._is_gone or self._has_all()):
            self._news.clear()
            await self._news.wait()

    def _has_all(self) -> bool:
        return self._queue.is_empty and (self._is_stopping or not self._connection.is_subscribed)

    async def _close(self) -> None:
        self._hangups.forget(self._fd, self._hang_up)
        self._connection.close()
        if self._is_gone or not self._queue.is_empty:
            self._writer.transport.abort()
        self._queue.close()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
