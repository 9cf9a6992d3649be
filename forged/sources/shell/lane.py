"""One lane: one shell at the far end of one channel, and what it was asked, which it answers one after the other.

An answer is a body and the mark. A body larger than its question allows, or one that nobody asked for, ends the lane
(SourceBroken), and so does silence, or a drip, while an answer is due (SourceLost; `agent.pulse` judges).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from forged.model.errors import NotSupported, SourceBroken, SourceError, SourceLost
from forged.model.paths import shown
from forged.sources.agent.attended import MAX_LAST_WORDS_BYTES, Attended
from forged.sources.agent.channel import Channel
from forged.sources.agent.pulse import LEAST_BYTES, PATIENCE_S, START_PATIENCE_S, Due, Duty
from forged.sources.shell.answers import HINT
from forged.sources.shell.script import program

NOISE_BYTES = 65_536
"""What a login script may print before the shell speaks, as with an agent."""

ANSWER_BYTES = 65_536
"""Of any answer but a file's bytes and a listing: a line or two, and a sign of life every few seconds for some days."""

READ_BYTES = 262_144
"""Taken apart at once; then others have a turn."""

T = TypeVar("T")


class Reply(Due, Protocol):
    """Takes the answer to one question."""

    async def more(self, data: bytes) -> None:
        """Some of the body. May wait, and then nothing is read. Raises SourceBroken for what was not asked for."""

    async def end(self) -> None:
        """The body is complete. Raises SourceBroken for one that is not what the script prints."""

    def fail(self, error: SourceError) -> None:
        """The lane ended before the answer."""


class Told(Generic[T]):
    """A reply of a few lines, whole when it is read. `parse` may raise what the answer means; SourceBroken ends the lane, too."""

    expecting = True

    def __init__(
        self,
        parse: Callable[[bytes], T],
        duty: Duty = Duty.SMALL,
        patience_s: float = PATIENCE_S,
        most_bytes: int = ANSWER_BYTES,
    ) -> None:
        self.duty, self.patience_s = duty, patience_s
        self._parse, self._most_bytes = parse, most_bytes
        self._body = bytearray()
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def more(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > self._most_bytes:
            raise SourceBroken("the shell answers without end")

    async def end(self) -> None:
        if self.result.done():  # nobody waits any more
            return
        try:
            self.result.set_result(self._parse(bytes(self._body)))
        except SourceBroken:
            raise
        except SourceError as error:
            self.fail(error)

    def fail(self, error: SourceError) -> None:
        if not self.result.done():
            self.result.set_exception(error)
            self.result.exception()  # counts as seen: of several that fail together, only the first is waited for


class Splitter:
    """Takes the shell's output apart: pieces of bodies, and None where one has ended."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark + b"\n"
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """What may be the beginning of a mark is held back until more is known."""
        data, at = self._held + data if self._held else data, 0
        while (found := data.find(self._mark, at)) >= 0:
            if found > at:
                yield data[at:found]
            yield None
            at = found + len(self._mark)
        end = len(data) - self._beginning(data, at)
        self._held = data[end:]
        if end > at:
            yield data[at:end] if at or self._held else data

    def _beginning(self, data: bytes, at: int) -> int:
        """How long a beginning of the mark the data end with."""
        for size in range(min(len(self._mark) - 1, len(data) - at), 0, -1):
            if data.endswith(self._mark[:size]):
                return size
        return 0


class ShellLane(Attended):
    """One shell. Made by `open_shell`; `close` ends it. `ask` never waits."""

    shell_ended = False
    """The channel is well, but the shell's output came to its end."""

    def __init__(self, channel: Channel, name: str, silence_limit_s: float, mark: bytes) -> None:
        self._replies: deque[Reply] = deque()
        self._splitter = Splitter(mark)
        super().__init__(channel, name, silence_limit_s)

    @property
    def is_idle(self) -> bool:
        """Everything it was asked is answered."""
        return not self._replies

    def ask(self, reply: Reply, command: bytes) -> None:
        """Sends a command whose answer goes to `reply`. Raises what ended the lane, if it has ended."""
        if self.ended is not None:
            raise self.ended
        self._replies.append(reply)
        self.post(command)

    # --- what comes -------------------------------------------------------------------------------------------------------

    async def _take(self, data: bytes) -> None:
        for begin in range(0, len(data), READ_BYTES):
            for piece in self._splitter.feed(data[begin : begin + READ_BYTES]):
                await self._dispatch(piece)
            await asyncio.sleep(0)

    async def _dispatch(self, piece: bytes | None) -> None:
        if not self._replies:
            raise SourceBroken("the shell sent something that was not asked for")
        reply = self._replies[0]
        if piece is None:
            await reply.end()
            self._replies.popleft()
            self._pulse.worked(reply.duty, LEAST_BYTES)
        else:
            await reply.more(piece)
            self._pulse.worked(reply.duty, len(piece))

    def _at_the_end(self) -> SourceError:
        self.shell_ended = True
        return SourceLost("the shell at the source ended")

    def _due(self) -> Iterable[Due]:
        return self._replies

    def _fail(self, error: SourceError) -> None:
        replies, self._replies = self._replies, deque()
        for reply in replies:
            reply.fail(error)


LaneT = TypeVar("LaneT", bound=ShellLane)


Kind = Callable[[Channel, str, float, bytes], LaneT]
"""A class of lanes, made from a channel, a name, the silence limit and the mark."""


async def open_shell(kind: Kind[LaneT], channel: Channel, name: str, silence_limit_s: float) -> LaneT:
    """Makes a fresh shell at the far end of the channel know the script; on every way out but this one the channel is closed.

    Raises SourceLost, SourceBroken, and what the channel raises when it is read.
    """
    mark = secrets.token_hex(16).encode()
    lane = kind(channel, name, silence_limit_s, mark)
    noise: Told[bytes] = Told(bytes, Duty.START, START_PATIENCE_S, NOISE_BYTES)
    try:
        lane.ask(noise, program(mark))
        await noise.result
    except SourceLost as error:
        await lane.close()
        if lane.shell_ended:
            raise NotSupported(f"no shell came to run at the source: {_last_words(error)}", hint=HINT) from error
        raise
    except BaseException:
        await lane.close()
        raise
    return lane


def _last_words(error: SourceError) -> str:
    return shown(error.message.encode()[-MAX_LAST_WORDS_BYTES:])
