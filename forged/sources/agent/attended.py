"""A channel that is attended to: what comes is read at once, what is posted goes out joined, and its silence is noticed.

What is said over it, subclasses know: agents (`lane`) and SFTP servers (`sources.sftp.lane`).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from forged.model.errors import SourceError, SourceLost
from forged.model.paths import shown
from forged.sources.agent.channel import Channel
from forged.sources.agent.pulse import Due, Pulse

CLOSE_LIMIT_S = 5.0
"""How long the end of a channel is waited for; its last words are only for messages."""

OnEnd = Callable[[SourceError], None]
"""Hears once why a lane has ended, after its calls have."""

MAX_LAST_WORDS_BYTES = 500


async def finished(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Waits for tasks that were told to end. Cancelled ones are fine; a mistake of ours in one of them is raised."""
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


class Attended(ABC):
    """The three tasks of one channel, and its end. `close` ends it.

    `post` never waits: what is to be sent is joined and written by a task, and its amount is bounded by the windows of those who
    ask.
    """

    def __init__(self, channel: Channel, name: str, silence_limit_s: float) -> None:
        self.name = name
        self.ended: SourceError | None = None
        self.on_end: OnEnd = lambda error: None
        self._channel, self._pulse = channel, Pulse(silence_limit_s)
        self._unsent: list[bytes] = []
        self._posted = asyncio.Event()
        works = {"read": self._read(), "send": self._send(), "listen": self._listen()}
        self._tasks = [asyncio.create_task(work, name=f"{name} {what}") for what, work in works.items()]
        self._ending: asyncio.Task[None] | None = None
        for task in self._tasks:
            task.add_done_callback(lambda _: self.end(SourceLost("the connection was not attended to any more")))

    # --- what subclasses know -----------------------------------------------------------------------------------------------

    @abstractmethod
    async def _take(self, data: bytes) -> None:
        """Some bytes have come. Raises SourceError to end it."""

    @abstractmethod
    def _at_the_end(self) -> SourceError:
        """The other side has said its last byte, though the channel is well: what that means."""

    @abstractmethod
    def _due(self) -> Iterable[Due]:
        """What is waited for."""

    @abstractmethod
    def _fail(self, error: SourceError) -> None:
        """Tells everyone who waits; nothing more will come."""

    # --- the three tasks ----------------------------------------------------------------------------------------------------

    def post(self, data: bytes) -> None:
        """Puts bytes behind what is unsent."""
        self._unsent.append(data)
        self._posted.set()

    async def _send(self) -> None:
        while True:
            await self._posted.wait()
            self._posted.clear()
            data, self._unsent = b"".join(self._unsent), []
            try:
                await self._channel.write(data)
            except SourceError as error:
                # A box that runs no such program may end before it has read all; what it said then tells more.
                await asyncio.wait(self._tasks[:1], timeout=CLOSE_LIMIT_S)
                self.end(error)
                return

    async def _read(self) -> None:
        try:
            while data := await self._channel.read():
                self._pulse.heard()
                await self._take(data)
        except SourceError as error:
            self.end(error)
        else:
            self.end(self._at_the_end())

    async def _listen(self) -> None:
        """Ends it when what is due does not come. Counts in looks, so that no call keeps a clock."""
        error = None
        while error is None:
            await asyncio.sleep(self._pulse.every_s)
            error = self._pulse.look(self._due())
        self.end(error)

    # --- the end ------------------------------------------------------------------------------------------------------------

    def end(self, error: SourceError) -> None:
        """Ends it for this reason, unless it has ended already. `close` waits for it."""
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
        self._fail(error)
        self.on_end(error)

    async def _last_words(self) -> str:
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                return shown((await self._channel.close()).strip().encode()[-MAX_LAST_WORDS_BYTES:])
        except TimeoutError:
            return ""

    async def close(self) -> None:
        """Ends it; whoever still waits gets SourceLost. A mistake of ours in one of the tasks is raised here."""
        self.end(SourceLost("the connection was closed"))
        assert self._ending is not None
        await self._ending
        await finished(self._tasks)
