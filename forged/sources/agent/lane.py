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
from forged.sources.agent.attended import MAX_LAST_WORDS_BYTES, Attended
from forged.sources.agent.calls import Answer, Call, greeting
from forged.sources.agent.channel import Channel
from forged.sources.agent.pulse import LEAST_BYTES, START_PATIENCE_S, Due, Duty
from forged.sources.agent.slices import Slice, WholeHash
from forged.sources.agent.wire import Decoder, Frame, Hello, Kind, grant_payload, packed, parse_nothing

OpenChannel = Callable[[], Awaitable[Channel]]
"""Opens a channel to a new process that runs `launch.shell_command()` or `launch.argv()`. Raises SourceError."""

FEED_BYTES = 65_536
"""Taken apart at once: 7,000 frames at most, where a hostile agent sends none but the smallest."""

TURN_FRAMES = 256
"""After so many frames others have a turn: half a millisecond. An honest agent's 64 KiB have fewer."""

MAX_CALLS = 1 << 32
"""Call numbers are 4 bytes on the wire; when they come round again, the first ones are long answered."""

NO_AGENT_HINT = "the agent needs Python 3.6 or newer at the source; without it use sftp:// (slower)"


class Lane(Attended):
    """One agent. Made by `open_lane`; `close` ends it. `ask` never waits."""

    hello: Hello
    agent_ended = False
    """The channel is well, but the agent's output came to its end."""
    round_trips = 1
    """From asking for a file to its last byte: everything about it goes along with the question."""

    def __init__(self, channel: Channel, name: str, silence_limit_s: float) -> None:
        self._calls: dict[int, Call] = {}
        self._numbers = itertools.count(1)
        self._decoder = Decoder()
        super().__init__(channel, name, silence_limit_s)

    # --- asking -----------------------------------------------------------------------------------------------------------

    def ask(self, call: Call, kind: Kind, payload: bytes = b"") -> int:
        """Sends a command whose answer goes to `call`; answers the call's number. Raises what ended the lane, if it has ended."""
        if self.ended is not None:
            raise self.ended
        number = next(self._numbers) % MAX_CALLS
        self._calls[number] = call
        self.post(packed(kind, number, payload))
        return number

    def fetch(self, part: Slice) -> int:
        """Asks for a slice, with leave to send what is granted by now. Raises as `ask`."""
        return self.ask(part, Kind.FETCH, part.payload())

    def hash(self, call: WholeHash) -> int:
        """Asks for the hash of a whole file. Raises as `ask`."""
        return self.ask(call, Kind.HASH, call.payload())

    def grant(self, number: int, amount: int) -> None:
        """Lets a call send that much more: bytes of a file, blocks of a listing."""
        self.post(packed(Kind.GRANT, number, grant_payload(amount)))

    def cancel(self, numbers: Iterable[int]) -> None:
        """Nobody waits for these any more. Their calls stay until the agent has answered; those that it has answered are gone."""
        for number in numbers:
            if number in self._calls and self.ended is None:
                self.post(packed(Kind.CANCEL, number))

    # --- what comes -------------------------------------------------------------------------------------------------------

    async def _take(self, data: bytes) -> None:
        for begin in range(0, len(data), FEED_BYTES):
            await self._dispatch_all(self._decoder.feed(data[begin : begin + FEED_BYTES]))

    async def _dispatch_all(self, frames: Sequence[Frame]) -> None:
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
            self._pulse.worked(call.duty, LEAST_BYTES)
        else:
            self._pulse.worked(call.duty, len(frame.payload))

    def _at_the_end(self) -> SourceError:
        self.agent_ended = True
        said = shown(self._decoder.noise.strip()[-MAX_LAST_WORDS_BYTES:])
        return SourceLost("the agent at the source ended" + (f": {said}" if said else ""))

    def _due(self) -> Iterable[Due]:
        return self._calls.values()

    def _fail(self, error: SourceError) -> None:
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.fail(error)


async def open_lane(open_channel: OpenChannel, root: bytes, name: str, silence_limit_s: float) -> Lane:
    """Opens a channel and starts an agent over it.

    Raises what opening raises, SourceMissing when there is no such root folder, and NotSupported when no agent came to life.
    """
    lane = Lane(await open_channel(), name, silence_limit_s)
    try:
        lane.post(launch.program())
        hello = Answer(greeting(root), Duty.START, START_PATIENCE_S)
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
