"""One lane: one running agent at the far end of one channel, and what was asked of it.

Frames are dispatched to the calls they answer; one that answers nothing, or is not what its call may get, ends the lane
(SourceBroken), and so does silence, or a drip, while an answer is due (SourceLost; `pulse` judges). The end of a lane fails every
call that still waits.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence

from forged.model.errors import NotSupported, SourceBroken, SourceError, SourceLost
from forged.model.paths import shown
from forged.sources.agent import launch
from forged.sources.agent.calls import Answer, Call, greeting
from forged.sources.agent.channel import Channel
from forged.sources.agent.pulse import LEAST_BYTES, START_PATIENCE_S, Desk, Pulse
from forged.sources.agent.wire import Decoder, Frame, Hello, Kind, grant_payload, packed, parse_nothing

OpenChannel = Callable[[], Awaitable[Channel]]
"""Opens a channel to a new process that runs `launch.shell_command()` or `launch.argv()`. Raises SourceError."""

FEED_BYTES = 65_536
"""Taken apart at once: 7,000 frames at most, where a hostile agent sends none but the smallest."""

TURN_FRAMES = 256
"""After so many frames others have a turn: half a millisecond. An honest agent's 64 KiB have fewer."""

CLOSE_LIMIT_S = 5.0
"""How long the end of a channel is waited for; its last words are only for messages."""

MAX_CALLS = 1 << 32
"""Call numbers are 4 bytes on the wire; when they come round again, the first ones are long answered."""


OnEnd = Callable[[SourceError], None]
"""Hears once why a lane has ended, after its calls have."""

MAX_LAST_WORDS_BYTES = 500
NO_AGENT_HINT = "the agent needs Python 3.6 or newer at the source; without it use sftp:// (slower)"


async def finished(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Waits for tasks that were told to end. Cancelled ones are fine; a mistake of ours in one of them is raised."""
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


class Lane:
    """One agent. Made by `open_lane`; `close` ends it.

    `post` and `ask` never wait: what is to be sent is joined and written by a task, and its amount is bounded by the windows of
    those who ask.
    """

    hello: Hello
    agent_ended = False
    """The channel is well, but the agent's output came to its end."""

    def __init__(self, channel: Channel, name: str, silence_limit_s: float) -> None:
        self.name = name
        self.ended: SourceError | None = None
        self.on_end: OnEnd = lambda error: None
        self._channel, self._pulse = channel, Pulse(silence_limit_s)
        self._calls: dict[int, Call] = {}
        self._numbers = itertools.count(1)
        self._outbox: list[bytes] = []
        self._posted = asyncio.Event()
        works = {"read": self._read(), "send": self._send(), "listen": self._listen()}
        self._tasks = [asyncio.create_task(work, name=f"{name} {what}") for what, work in works.items()]
        self._ending: asyncio.Task[None] | None = None
        for task in self._tasks:
            task.add_done_callback(lambda _: self.end(SourceLost("the connection was not attended to any more")))

    # --- asking -----------------------------------------------------------------------------------------------------------

    def ask(self, call: Call, kind: Kind, payload: bytes = b"") -> int:
        """Sends a command whose answer goes to `call`; answers the call's number. Raises what ended the lane, if it has ended."""
        if self.ended is not None:
            raise self.ended
        number = next(self._numbers) % MAX_CALLS
        self._calls[number] = call
        self.post(packed(kind, number, payload))
        return number

    def grant(self, number: int, amount: int) -> None:
        """Lets a call send that much more: bytes of a file, blocks of a listing."""
        self.post(packed(Kind.GRANT, number, grant_payload(amount)))

    def post(self, data: bytes) -> None:
        """Puts bytes into the outbox."""
        self._outbox.append(data)
        self._posted.set()

    def cancel(self, numbers: Iterable[int]) -> None:
        """Nobody waits for these any more. Their calls stay until the agent has answered; those that it has answered are gone."""
        for number in numbers:
            if number in self._calls and self.ended is None:
                self.post(packed(Kind.CANCEL, number))

    # --- the three tasks --------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._posted.wait()
            self._posted.clear()
            data, self._outbox = b"".join(self._outbox), []
            try:
                await self._channel.write(data)
            except SourceError as error:
                # A box that runs no agent may end before it has read all of the program; what it said then tells more.
                await asyncio.wait(self._tasks[:1], timeout=CLOSE_LIMIT_S)
                self.end(error)
                return

    async def _read(self) -> None:
        decoder = Decoder()
        try:
            while data := await self._channel.read():
                self._pulse.heard()
                for begin in range(0, len(data), FEED_BYTES):
                    await self._take(decoder.feed(data[begin : begin + FEED_BYTES]))
        except SourceError as error:
            self.end(error)
        else:
            self.agent_ended = True
            said = shown(decoder.noise.strip()[-MAX_LAST_WORDS_BYTES:])
            self.end(SourceLost("the agent at the source ended" + (f": {said}" if said else "")))

    async def _take(self, frames: Sequence[Frame]) -> None:
        for number, frame in enumerate(frames, 1):
            self._dispatch(frame)
            if number % TURN_FRAMES == 0:
                await asyncio.sleep(0)

    def _dispatch(self, frame: Frame) -> None:
        call = self._calls.get(frame.call)
        if call is None:
            raise SourceBroken("the agent sent something that was not asked for")
        if frame.kind == Kind.BEAT:
            parse_nothing(frame.payload)
            self._pulse.beat()
        elif call.take(frame):
            del self._calls[frame.call]
            self._pulse.worked(call.desk, LEAST_BYTES)
        else:
            self._pulse.worked(call.desk, len(frame.payload))

    async def _listen(self) -> None:
        """Ends the lane when what is due does not come. Counts in looks, so that no call keeps a clock."""
        error = None
        while error is None:
            await asyncio.sleep(self._pulse.every_s)
            error = self._pulse.look(self._calls.values())
        self.end(error)

    # --- the end ----------------------------------------------------------------------------------------------------------

    def end(self, error: SourceError) -> None:
        """Ends the lane for this reason, unless it has ended already. `close` waits for it."""
        if self.ended is None:
            self.ended = error
            self._ending = asyncio.create_task(self._finish(error), name=f"{self.name} end")

    async def _finish(self, error: SourceError) -> None:
        """Closes the channel, then tells everyone who waits."""
        for task in self._tasks:
            task.cancel()
        last_words = await self._last_words()
        if isinstance(error, SourceLost) and last_words:
            error = self.ended = SourceLost(f"{error.message}: {last_words}", hint=error.hint)
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.fail(error)
        self.on_end(error)

    async def _last_words(self) -> str:
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                return shown((await self._channel.close()).strip().encode()[-MAX_LAST_WORDS_BYTES:])
        except TimeoutError:
            return ""

    async def close(self) -> None:
        """Ends agent and channel; whoever still waits gets SourceLost. A mistake of ours in one of the tasks is raised here."""
        self.end(SourceLost("the connection was closed"))
        assert self._ending is not None
        await self._ending
        await finished(self._tasks)


async def open_lane(open_channel: OpenChannel, root: bytes, name: str, silence_limit_s: float) -> Lane:
    """Opens a channel and starts an agent over it.

    Raises what opening raises, SourceMissing when there is no such root folder, and NotSupported when no agent came to life.
    """
    lane = Lane(await open_channel(), name, silence_limit_s)
    try:
        lane.post(launch.program())
        hello = Answer(greeting(root), Desk.START, START_PATIENCE_S)
        lane.ask(hello, Kind.START, root)
        lane.hello = await hello.result
    except SourceLost as error:
        await lane.close()
        if lane.agent_ended:
            raise NotSupported(error.message, hint=NO_AGENT_HINT) from error
        raise
    except BaseException:
        await lane.close()
        raise
    return lane
