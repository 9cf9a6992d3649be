"""The client of forgectl: plain sockets and json, so that a program that asks one thing is done in 60 ms.

Imports neither asyncio nor pydantic, and nothing of forged but the error tree.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from forged.model.errors import ForgedError

TIMEOUT_S = 30.0
"""How long an answer may take, unless the caller says otherwise. Most take a millisecond; one that waits for a database longer."""

NOTES_KEPT = 10_000
"""Notifications that arrive while an answer is awaited. The oldest go first: whoever asks for them later wants the newest."""

_CHUNK_BYTES = 64 * 1024
"""Read at once; most answers are smaller."""

RUN_SOCKET = "/run/forged/forged.sock"
"""Where the daemon of the system listens."""


class NoDaemon(ForgedError):
    """No forged daemon answers"""

    default_hint = (
        "`systemctl start forged` or `forged run` starts one; if it listens elsewhere, say where: --socket or $FORGED_SOCKET. "
        "`forged check` and `journalctl -u forged` say why it does not stay"
    )


class NoPermission(ForgedError):
    """You may not talk to the forged daemon"""

    default_hint = "join the group that owns the socket (`socket_group` in [daemon]), or ask as root"
    path = ""
    """The socket."""


class NoAnswer(ForgedError):
    """The forged daemon does not answer in time"""

    default_hint = "it may be busy: try again, or look at its log"


class CallFailed(ForgedError):
    """The daemon's answer was an error. `code` is JSON-RPC's, `type` the stable word for programs ("not_permitted", …)."""

    def __init__(self, code: int, message: str, *, hint: str = "", type: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code, self.type = code, type


class Notification(NamedTuple):
    """Something the daemon says unasked, because it was subscribed to. `rpc.dropped {count}`: some were lost, we were too slow."""

    method: str
    params: Any


def sockets(argument: str | None, env: Mapping[str, str]) -> tuple[str, ...]:
    """The sockets to try, in this order: `argument` or $FORGED_SOCKET alone; else the user's own and the system's."""
    if explicit := argument or env.get("FORGED_SOCKET"):
        return (explicit,)
    base = env.get("XDG_RUNTIME_DIR")
    return (os.path.join(base, "forged/forged.sock"), RUN_SOCKET) if base else (RUN_SOCKET,)


def reach(paths: Sequence[str], timeout_s: float | None = TIMEOUT_S) -> Client:
    """A connection to the first of these sockets on which a daemon answers; a file that a dead one left is passed over.

    Raises NoPermission or NoAnswer of the first that is alive, and NoDaemon, which names all that were tried, where none is.
    """
    errors: list[NoDaemon | NoPermission | NoAnswer] = []
    for path in paths:
        try:
            return Client(path, timeout_s)
        except (NoDaemon, NoPermission, NoAnswer) as error:
            errors.append(error)
    alive = next((error for error in errors if not isinstance(error, NoDaemon)), None)
    if alive is not None or len(errors) == 1:
        raise alive or errors[0]
    raise NoDaemon("No forged daemon is running: nobody listens on " + " or on ".join(paths) + ".")


LONGEST_SLEEP_S = 1.0
"""Whoever waits for news looks up so often: a Ctrl-C that came in the moment before the system call would wait with it until the
next news (Python runs its handlers between two instructions). Seen once, on a busy machine."""


class Client:
    """One connection, one question at a time. Use it with `with`, or `close` it. Not for several threads."""

    def __init__(self, path: str, timeout_s: float | None = TIMEOUT_S) -> None:
        """Connects. `timeout_s` bounds connecting and each answer; None waits for ever. Raises NoDaemon, NoPermission, NoAnswer."""
        self.timeout_s = timeout_s
        self._path = path
        self._last_id = 0
        self._received = bytearray()
        self._searched_bytes = 0
        self._notes: deque[Notification] = deque(maxlen=NOTES_KEPT)
        self._socket = _connected(path, timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For `select`. What has arrived already may wait inside: `notifications` first."""
        return self._socket.fileno()

    def call(self, method: str, /, **params: Any) -> Any:
        """Asks, waits, and gives the result as json.loads makes it; `rpc.discover` tells its shape.

        Raises CallFailed for an answer that is an error, NoAnswer, and NoDaemon when the daemon ends meanwhile. After NoAnswer the
        client must not be used again.
        """
        self._last_id += 1
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        while True:
            message = self._message(self.timeout_s)
            if "method" in message:
                self._notes.append(Notification(message["method"], message.get("params")))
            elif message.get("id") in (self._last_id, None):  # None: the line as a whole, or the connection, was refused
                return _result(message)

    def notifications(self, within_s: float | None = None) -> Iterator[Notification]:
        """What was subscribed to, as it comes, for `within_s`; None = for ever. What comes later is there the next time.

        Raises NoDaemon when the daemon ends, CallFailed if it says why.
        """
        end_s = None if within_s is None else time.monotonic() + within_s
        while True:
            while self._notes:
                yield self._notes.popleft()
            left_s = LONGEST_SLEEP_S if end_s is None else end_s - time.monotonic()
            if left_s <= 0:
                return
            try:
                message = self._message(min(left_s, LONGEST_SLEEP_S))
            except NoAnswer:
                continue
            if "method" in message:
                self._notes.append(Notification(message["method"], message.get("params")))
            elif message.get("id") is None:
                _result(message)

    def _send(self, request: Mapping[str, object]) -> None:
        self._socket.settimeout(self.timeout_s)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except TimeoutError as e:
            raise NoAnswer from e
        except (BrokenPipeError, ConnectionResetError):
            pass  # the daemon may have said why before it closed; reading finds that, or the end

    def _message(self, timeout_s: float | None) -> dict[str, Any]:
        self._socket.settimeout(timeout_s)
        while (end := self._received.find(b"\n", self._searched_bytes)) < 0:
            self._searched_bytes = len(self._received)  # a long answer is not searched from its start with every piece
            self._received += self._piece()
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        self._searched_bytes = 0
        message: dict[str, Any] = json.loads(line)
        return message

    def _piece(self) -> bytes:
        try:
            piece = self._socket.recv(_CHUNK_BYTES)
        except TimeoutError as e:
            raise NoAnswer(f"The daemon on {self._path} has not answered for {self._socket.gettimeout():g} s.") from e
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise NoDaemon(f"The daemon on {self._path} has closed the connection.", hint="it may be stopping: see its log")
        return piece


def _connected(path: str, timeout_s: float | None) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if timeout_s is not None:
            # A socket with a timeout of Python's own is told at once that the queue is full; one that blocks waits its turn in it.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout_s))
        connection.connect(path)
    except OSError as e:
        connection.close()
        raise _translated(path, e) from e
    connection.settimeout(timeout_s)
    return connection


def _timeval(seconds: float) -> bytes:
    """struct timeval of socket(7); all zero would mean for ever."""
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000) or 1)


def _translated(path: str, error: OSError) -> NoDaemon | NoPermission | NoAnswer:
    if isinstance(error, PermissionError):
        refused = NoPermission(f"You may not connect to {path}.")
        refused.path = path
        return refused
    if isinstance(error, (TimeoutError, BlockingIOError)):  # its queue stayed full: it is alive, but takes nobody in
        return NoAnswer(f"The daemon on {path} accepts no connection.")
    if isinstance(error, FileNotFoundError):
        return NoDaemon(f"No forged daemon is running: {path} does not exist.")
    return NoDaemon(f"No forged daemon answers on {path}: {error.strerror or error}.")


def _result(message: Mapping[str, Any]) -> Any:
    error = message.get("error")
    if error is None:
        return message.get("result")
    data = error.get("data") or {}
    raise CallFailed(error["code"], error["message"], hint=data.get("hint", ""), type=data.get("type", ""))
