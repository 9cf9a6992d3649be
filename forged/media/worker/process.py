"""One worker from the daemon's side: its process, and the sockets to it. Nothing here waits; asyncio calls back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

import msgspec

from forged.kit import child
from forged.media.worker.letters import Answered, Asked, Opening, Ready, Rubbish, cut

_READ_BYTES = 1 << 18
"""At once. A thumbnail with its texts is mostly less."""

_GONE_FIRST_S, _GONE_MOST_S = 0.005, 1.0
"""How often to look whether a process has ended: soon, and more and more seldom."""

_ENDS_S = 0.5
"""How long a process may take to be gone once its sockets have closed; what is left of it then is killed."""

_CPUCLOCK_SCHED = 2
"""With the complement of a process's number, its clock (linux/posix-timers_types.h, clock_getcpuclockid(3))."""

_ENVIRONMENT = ("LD_LIBRARY_PATH", "PATH")
"""What a Python that is installed oddly needs to start at all. Nothing else goes along: variables hold secrets."""


class Listener(Protocol):
    """Who is told what becomes of a worker."""

    def ready(self, confinement: str) -> None:
        """It takes requests."""

    def answered(self, answer: Answered) -> None:
        """The next answer."""

    def lost(self, why: str, *, was_killed: bool = False) -> None:
        """It has ended without being asked to, or sent rubbish, and is no more. `why` goes on from "the process". `was_killed`: by
        somebody else, and not by what it read."""


class Worker:
    """A process that looks into files. Raises OSError where none can be started."""

    def __init__(self, opening: Opening, listener: Listener) -> None:
        self._listener = listener
        self._most_bytes = opening.limits.answer_bytes + (1 << 20)
        self._received = bytearray()
        self._loop = asyncio.get_running_loop()
        self._is_listening = True
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done when the process has ended and left no zombie."""
        with ExitStack() as undo:
            self._requests, their_requests = _pair(socket.SOCK_SEQPACKET, undo)
            self._answers, their_answers = _pair(socket.SOCK_STREAM, undo)
            self._process = child.started(
                "forged.media.worker.main",
                their_requests.fileno(),
                their_answers.fileno(),
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
            undo.pop_all()
        their_requests.close()
        their_answers.close()
        self._requests.send(msgspec.msgpack.encode(opening))
        self._loop.add_reader(self._answers, self._readable)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """Of the processor it has had so far; 0 when it is gone."""
        try:
            return time.clock_gettime(~self.pid << 3 | _CPUCLOCK_SCHED)
        except OSError:
            return 0.0

    def ask(self, asked: Asked, fds: Sequence[int]) -> None:
        """Sends a request. The descriptors are the worker's own from now on. Raises OSError, of a worker that is gone as well:
        `lost` is called all the same."""
        socket.send_fds(self._requests, [msgspec.msgpack.encode(asked)], fds)

    def end(self) -> None:
        """Nothing more is asked: it ends by itself when it is idle, as it should be."""
        self._let_go()
        self._await_end(_GONE_FIRST_S)

    def kill(self) -> None:
        """Whatever it does."""
        self._let_go()
        self._process.kill()
        self._await_end(_GONE_FIRST_S)

    # --- its answers ----------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = self._answers.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._answers)
            self._find_out(_GONE_FIRST_S)
            return
        self._received += data
        try:
            while self._is_listening and (answer := cut(self._received, self._most_bytes)) is not None:
                self._hand_on(answer)
        except Rubbish as e:
            self.kill()
            self._listener.lost(f"answered with rubbish and was ended ({e})")

    def _hand_on(self, answer: Ready | Answered) -> None:
        if isinstance(answer, Ready):
            self._listener.ready(answer.confinement)
        else:
            self._listener.answered(answer)

    # --- its end --------------------------------------------------------------------------------------------------------------

    def _find_out(self, waited_s: float) -> None:
        """What it died of: the sockets close a moment before the status is there."""
        if not self._is_listening:
            return
        status = self._process.poll()
        if status is None and waited_s < _ENDS_S:
            self._loop.call_later(waited_s, self._find_out, waited_s * 2)
            return
        self.kill()
        self._listener.lost(_words(status), was_killed=status == -signal.SIGKILL)

    def _let_go(self) -> None:
        if self._is_listening:
            self._is_listening = False
            self._loop.remove_reader(self._answers)
            self._requests.close()
            self._answers.close()

    def _await_end(self, next_s: float) -> None:
        if self.gone.done():
            return
        if self._process.poll() is None:
            self._loop.call_later(next_s, self._await_end, min(next_s * 2, _GONE_MOST_S))
        else:
            self.gone.set_result(None)


def _pair(kind: socket.SocketKind, undo: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Ours, and theirs."""
    ours, theirs = (undo.enter_context(end) for end in socket.socketpair(type=kind))
    ours.setblocking(False)
    return ours, theirs


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}  # glibc reserves 64 MiB of addresses for each arena


def _words(status: int | None) -> str:
    if status is None:
        return "closed its sockets and was ended"
    if status >= 0:
        return f"ended by itself (status {status})"
    if -status == signal.SIGXCPU:
        return "took more time of the processor than it may and was ended"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
