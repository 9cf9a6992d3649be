"""The helper process from the daemon's side: one for all destinations, started when it is needed."""

from __future__ import annotations

import asyncio
import marshal
import pickle
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import cast

from forged.destination.apart.letters import LENGTH_BYTES, Trouble, ended, packed, raised
from forged.destination.apart.main import Opening
from forged.destination.hands import seen
from forged.destination.plain import Chunk
from forged.kit import child
from forged.kit.arena import Arena

ARENA_BYTES = 8 << 20
"""For bytes on their way to the helper. What finds no room there goes through the socket; [transfer] in_flight bounds both."""

END_S = 5.0
"""How long the helper may take to end. It has nothing to finish then; a disk that hangs may hold it."""

DYING_S = 0.5
"""How long a killed process may take to be gone: the kernel closes its sockets one after the other."""


class Endpoint(asyncio.Protocol):
    """One socket to the helper. Answers come in the order of the calls."""

    def __init__(self, on_loss: Callable[[], None]) -> None:
        """`on_loss` is called when the helper lets go of it before we do."""
        self._on_loss = on_loss
        self._waiting: deque[asyncio.Future[object]] = deque()
        self._unread = bytearray()
        self._transport: asyncio.Transport | None = None
        self.ended = False

    @property
    def calls(self) -> int:
        """How many are unanswered."""
        return len(self._waiting)

    def ask(self, name: str, args: tuple[object, ...], data: Iterable[Chunk] = ()) -> asyncio.Future[object]:
        """Sends a call, and bytes after it, which are not copied. Its answer is DestinationError where the helper ends before."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(seen)
        if self.ended or self._transport is None:
            answer.set_exception(ended())
        else:
            self._waiting.append(answer)
            self._transport.write(packed((name, args)))
            for chunk in data:
                self._transport.write(chunk)
        return answer

    async def idle(self) -> None:
        """Returns when all that was asked is answered, whatever became of it."""
        if self._waiting:
            await asyncio.wait(self._waiting)

    def close(self) -> None:
        """Nothing more will be asked."""
        self.ended = True
        if self._transport is not None:
            self._transport.close()

    # --- what asyncio calls -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from it

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while len(self._unread) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._unread[:LENGTH_BYTES], "big")
            if len(self._unread) < end:
                break
            trouble, result = marshal.loads(self._unread[LENGTH_BYTES:end])
            del self._unread[:end]
            self._answer(trouble, result)

    def _answer(self, trouble: Trouble | None, result: object) -> None:
        answer = self._waiting.popleft()
        if trouble is not None:
            answer.set_exception(raised(trouble))
        else:
            answer.set_result(result)

    def connection_lost(self, error: Exception | None) -> None:
        lost, self.ended = not self.ended, True
        while self._waiting:
            self._waiting.popleft().set_exception(ended())
        if lost:
            self._on_loss()


class Helper:
    """The process, and the memory shared with it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._has_lost_one = False
        self._opening = asyncio.Lock()
        self.arena: Arena | None = None

    async def connect(self, opening: Opening) -> Endpoint:
        """A new socket for this desk. Raises DestinationError where no process can be started."""
        try:
            async with self._opening:
                await self._look_whether_it_lives()
                ours = self._opened(opening)
        except OSError as e:
            self._kill()
            raise ended(f"no process can be started that writes at home: {e.strerror or e}") from e
        _, endpoint = await asyncio.get_running_loop().create_unix_connection(lambda: Endpoint(self._lost_one), sock=ours)
        return endpoint

    def _lost_one(self) -> None:
        self._has_lost_one = True

    async def _look_whether_it_lives(self) -> None:
        """After a socket was lost: with a mistake of ours goes one, with the process go all, though not in the same moment."""
        lost, self._has_lost_one = self._has_lost_one, False
        if lost and self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, DYING_S)
                self._kill()

    def _opened(self, opening: Opening) -> socket.socket:
        """Our end of a new socket, whose other end the helper has."""
        letter = [pickle.dumps(opening)]
        with ExitStack() as stack:
            ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
            try:
                socket.send_fds(self._control or self._start(), letter, [theirs.fileno()])
            except ConnectionError:  # it has died meanwhile
                socket.send_fds(self._start(), letter, [theirs.fileno()])
            own = ours.dup()
        own.setblocking(False)
        return own

    def _start(self) -> socket.socket:
        self._kill()
        self.arena = Arena(ARENA_BYTES)
        self._control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with theirs:
            self._process = child.started("forged.destination.apart.main", theirs.fileno())
        socket.send_fds(self._control, [b"m"], [self.arena.fd])
        return self._control

    def _kill(self) -> None:
        """It is started again when it is needed."""
        process, self._process = self._process, None
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.arena is not None:
            self.arena.close()
            self.arena = None
        if process is not None:
            process.kill()
            process.wait()

    async def aclose(self) -> None:
        """Ends the process, once nobody has sockets to it any more."""
        if self._control is not None and self._process is not None:
            self._control.close()
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, END_S)
        self._kill()
