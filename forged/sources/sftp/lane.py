"""One lane to an SFTP server: questions and their answers, and the slices of files that it carries.

Every answer belongs to exactly one question; one that answers nothing, or is not what its question may get, ends the lane
(SourceBroken), and so does silence, or a drip, while an answer is due (SourceLost; `agent.pulse` judges, as with agents). An honest
server sends nothing that was not asked for, so what is asked is the bound of what is buffered here.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from forged.model.errors import NotSupported, SourceBroken, SourceError, SourceLost
from forged.model.paths import shown
from forged.sources.agent.attended import Attended, finished
from forged.sources.agent.channel import Channel
from forged.sources.agent.pulse import LEAST_BYTES, PATIENCE_S, WALK_PATIENCE_S, Due, Duty
from forged.sources.agent.slices import Slice, WholeHash
from forged.sources.sftp import answers as answers
from forged.sources.sftp import wire as wire
from forged.sources.sftp.channel import NO_SFTP_HINT, OpenLink, no_sftp, open_sftp
from forged.sources.sftp.fetch import SliceReading
from forged.sources.sftp.wire import Ask, Attrs, Limits, Named, Packet, Refused, string

T = TypeVar("T")

READ_BYTES = 128 << 10
"""Read at once: half of what is granted at once, so that no grant leaves a crumb. OpenSSH allows 255 KiB; asking for as much
made no difference that was seen."""

OLD_READ_BYTES = 32 << 10
"""From servers that do not tell: section 3 of the draft promises packets of 34,000 bytes."""

MOST_HANDLES, FEW_HANDLES, SPARE_HANDLES = 512, 64, 48
"""Files open at once. The server's limit counts, less what looking through folders takes; unknown, few: old servers allowed 100."""

MOST_FOLDERS = 32
"""Folders open at once: with 50 ms to the box 1,000 take some 5 s, and most servers allow a hundred handles and more."""

TURN_PACKETS = 256
"""After so many answers others have a turn, and after each with names: those may be thousands."""

MAX_NUMBERS = 1 << 32

Parse = Callable[[Packet], T]


class Question(Generic[T]):
    """One question on its way. A Due."""

    __slots__ = ("duty", "expecting", "future", "parse", "patience_s")

    def __init__(self, parse: Parse[T], duty: Duty) -> None:
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.parse, self.duty, self.expecting = parse, duty, True
        self.patience_s = WALK_PATIENCE_S if duty is Duty.LIST else PATIENCE_S

    @property
    def forgotten(self) -> bool:
        """Nobody waits for its answer."""
        return self.future.done()

    def take(self, packet: Packet) -> None:
        """Raises SourceBroken for what cannot be its answer."""
        try:
            self.future.set_result(self.parse(packet))
        except Refused as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # counts as seen: of several that fail together, only the first is waited for


class Awaited(Due, Protocol):
    """A question of any kind, as its lane sees it."""

    @property
    def forgotten(self) -> bool: ...
    def take(self, packet: Packet) -> None: ...
    def fail(self, error: Exception) -> None: ...


class Root:
    """The root folder of a source: as configured, and where it really is."""

    def __init__(self, configured: bytes) -> None:
        self.configured = self._real = configured

    def resolve(self, real: bytes) -> None:
        self._real = real

    @property
    def real(self) -> bytes:
        return self._real

    def at(self, path: bytes) -> bytes:
        """The whole path of one below it; b"" is the root itself."""
        return self._real.rstrip(b"/") + b"/" + path if path else self._real


class SftpLane(Attended):
    """One SFTP server. Made by `open_sftp_lane`; `close` ends it. A FileLane; asking never waits, and raises what has ended it."""

    round_trips = 2
    """A file is opened, and then read and looked at in one go."""

    def __init__(self, channel: Channel, place: str, root: Root, name: str, silence_limit_s: float) -> None:
        self.root = root
        self.read_bytes = OLD_READ_BYTES
        self.files = asyncio.Semaphore(FEW_HANDLES)
        self.folders = asyncio.Semaphore(MOST_FOLDERS)
        self._place = place
        self._greeting: Question[bool] | None = Question(answers.parse_version, Duty.SMALL)
        self._questions: dict[int, Awaited] = {}
        self._numbers = itertools.count(1)
        self._decoder = wire.Decoder()
        self._readings: dict[int, SliceReading] = {}
        self._tasks_reading: set[asyncio.Task[None]] = set()
        super().__init__(channel, name, silence_limit_s)

    async def greet(self) -> None:
        """The first words of both sides. Raises NotSupported where nobody speaks SFTP."""
        assert self._greeting is not None
        self.post(wire.asked(Ask.INIT, wire.VERSION, b""))
        if await self._greeting.future:
            self._obey(await self.ask(Ask.EXTENDED, string(wire.LIMITS), answers.parse_limits))

    def _obey(self, limits: Limits) -> None:
        if limits.read_bytes:
            self.read_bytes = max(min(READ_BYTES, limits.read_bytes), LEAST_BYTES)
        if limits.handles:
            self.files = asyncio.Semaphore(max(min(MOST_HANDLES, limits.handles - SPARE_HANDLES), 1))

    # --- asking -----------------------------------------------------------------------------------------------------------

    def ask(self, kind: Ask, body: bytes, parse: Parse[T], duty: Duty = Duty.SMALL) -> asyncio.Future[T]:
        """Asks; the future raises Refused where the server says no, and what ends the lane, if it ends before the answer."""
        if self.ended is not None:
            raise self.ended
        number = next(self._numbers) % MAX_NUMBERS
        question = self._questions[number] = Question(parse, duty)
        self.post(wire.asked(kind, number, body))
        return question.future

    def lstat(self, path: bytes) -> asyncio.Future[Attrs]:
        return self.ask(Ask.LSTAT, string(path), answers.parse_attrs)

    def stat(self, path: bytes) -> asyncio.Future[Attrs]:
        return self.ask(Ask.STAT, string(path), answers.parse_attrs)

    def fstat(self, handle: bytes) -> asyncio.Future[Attrs]:
        return self.ask(Ask.FSTAT, string(handle), answers.parse_attrs)

    def realpath(self, path: bytes) -> asyncio.Future[bytes]:
        return self.ask(Ask.REALPATH, string(path), answers.parse_realpath)

    def open(self, path: bytes) -> asyncio.Future[bytes]:
        return self.ask(Ask.OPEN, string(path) + wire.READING, answers.parse_handle)

    def opendir(self, path: bytes) -> asyncio.Future[bytes]:
        return self.ask(Ask.OPENDIR, string(path), answers.parse_handle)

    def read(self, handle: bytes, offset_bytes: int, size_bytes: int) -> asyncio.Future[bytes]:
        return self.ask(Ask.READ, wire.read_body(handle, offset_bytes, size_bytes), answers.parse_data, Duty.FETCH)

    def readdir(self, handle: bytes) -> asyncio.Future[bytes]:
        """Names for `names_of`."""
        return self.ask(Ask.READDIR, string(handle), answers.parse_names, Duty.LIST)

    def names_of(self, body: bytes) -> list[Named]:
        """Of what `readdir` answered. Raises SourceBroken for what cannot be, and then the lane ends."""
        try:
            return answers.names_of(body)
        except SourceBroken as error:
            self.end(error)
            raise

    def remove(self, path: bytes) -> asyncio.Future[None]:
        return self.ask(Ask.REMOVE, string(path), answers.parse_done)

    def rmdir(self, path: bytes) -> asyncio.Future[None]:
        return self.ask(Ask.RMDIR, string(path), answers.parse_done)

    def close_handle(self, opened: asyncio.Future[bytes] | None) -> None:
        """Closes what was opened, or will be; nobody waits for it."""
        if opened is None or self.ended is not None or opened.cancel() or opened.cancelled() or opened.exception() is not None:
            return  # one that is cancelled is closed when its answer comes
        self._close(opened.result())

    def _close(self, handle: bytes) -> None:
        self.ask(Ask.CLOSE, string(handle), answers.parse_done)

    # --- files ------------------------------------------------------------------------------------------------------------

    def fetch(self, part: Slice) -> int:
        """See FileLane."""
        if self.ended is not None:
            raise self.ended
        number = next(self._numbers)
        reading = self._readings[number] = SliceReading(self, part)
        task = asyncio.create_task(reading.run(), name=f"{self.name} slice {number}")
        self._tasks_reading.add(task)
        reading.stop = task.cancel
        task.add_done_callback(lambda task: self._has_read(number, task))
        return number

    def _has_read(self, number: int, task: asyncio.Task[None]) -> None:
        self._readings.pop(number, None)
        if task.cancelled() or task.exception() is None:
            self._tasks_reading.discard(task)
        else:
            self.end(SourceLost("the connection was not attended to any more"))

    def hash(self, call: WholeHash) -> int:
        """See FileLane."""
        raise NotSupported("SFTP cannot hash")

    def grant(self, number: int, amount: int) -> None:
        """See FileLane."""
        if reading := self._readings.get(number):
            reading.granted()

    def cancel(self, numbers: Iterable[int]) -> None:
        """See FileLane."""
        for number in numbers:
            if reading := self._readings.pop(number, None):
                reading.stop()

    # --- what comes -------------------------------------------------------------------------------------------------------

    async def _take(self, data: bytes) -> None:
        try:
            for count, packet in enumerate(self._decoder.feed(data), 1):
                self._dispatch(packet)
                if count % TURN_PACKETS == 0 or packet.kind == wire.Say.NAME:
                    await asyncio.sleep(0)
        except SourceBroken as error:
            if self._greeting is None:
                raise
            said = shown(data[: wire.MAX_MESSAGE_BYTES])
            raise no_sftp(self._place, said) from error

    def _dispatch(self, packet: Packet) -> None:
        if self._greeting is not None:
            if not self._greeting.forgotten:  # whoever opened it may have been told to stop
                self._greeting.take(packet)  # what is no greeting ends the lane, and with it this question
            self._greeting = None
            return
        question = self._questions.get(packet.number)
        if question is None:
            raise SourceBroken("the SFTP server answered what was not asked")
        self._pulse.worked(question.duty, LEAST_BYTES if question.duty is Duty.SMALL else len(packet.body))
        if not question.forgotten:
            question.take(packet)
        elif packet.kind == wire.Say.HANDLE and self.ended is None:
            self._close(answers.parse_handle(packet))  # nobody waits for it any more
        del self._questions[packet.number]  # one whose answer cannot be believed is told so when the lane ends

    def _at_the_end(self) -> SourceError:
        if self._greeting is not None:
            return no_sftp(self._place, shown(self._decoder.rest[: wire.MAX_MESSAGE_BYTES]))
        return SourceLost("the SFTP server at the source ended")

    def _due(self) -> Iterable[Due]:
        return [self._greeting] if self._greeting is not None else self._questions.values()

    def _fail(self, error: SourceError) -> None:
        questions, self._questions = self._questions, {}
        for question in [*questions.values(), *([self._greeting] if self._greeting is not None else [])]:
            question.fail(error)

    async def close(self) -> None:
        """See Attended."""
        await super().close()
        await finished(self._tasks_reading)


async def open_sftp_lane(open_link: OpenLink, root: Root, name: str, silence_limit_s: float) -> SftpLane:
    """Opens a connection and greets the SFTP server at its end.

    Raises what opening raises, and NotSupported when there is none.
    """
    channel, place = await open_sftp(open_link)
    lane = SftpLane(channel, place, root, name, silence_limit_s)
    try:
        await lane.greet()
    except NotSupported as error:
        await lane.close()
        raise error if error.hint == NO_SFTP_HINT else no_sftp(place, "") from error  # a session that says it has no Python
    except BaseException:
        await lane.close()
        raise
    return lane
