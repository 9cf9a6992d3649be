"""One slice of a file over SFTP: looked at and opened in one go, then read and looked at again in another.

OpenSSH answers in the order asked. So the look after the last byte is asked for right behind the last READ, and a small file costs
two round trips, however many of them are on their way beside it. Any other order is put right: bytes are passed on in their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forged.model.errors import SourceBroken, SourceError
from forged.model.files import Problem, ProblemKind, Stat
from forged.sources.agent.slices import Slice
from forged.sources.agent.wire import Done
from forged.sources.sftp.look import Look, Unfit, problem_of
from forged.sources.sftp.wire import Attrs, Code, Refused

if TYPE_CHECKING:
    from forged.sources.sftp.lane import SftpLane

SHORTER = "it became shorter while it was read"


@dataclass(slots=True)
class Read:
    """A range that was asked for."""

    offset_bytes: int
    size_bytes: int
    data: asyncio.Future[bytes]


class SliceReading:
    """Reads what is granted of a slice, all of that at once, and passes it on in order."""

    def __init__(self, lane: SftpLane, part: Slice) -> None:
        self._lane, self._part = lane, part
        self._path = part.file.request.entry.path
        self._expected = part.file.request.entry.stat
        self._opened: asyncio.Future[bytes] | None = None
        self._handle: bytes | None = None
        self._reads: deque[Read] = deque()
        self._asked_bytes = part.begin
        self._last: tuple[asyncio.Future[Attrs], Look] | None = None
        self._more = asyncio.Event()
        self.stop: Callable[[], object] = lambda: None
        """Ends it; whoever runs it sets this."""

    def granted(self) -> None:
        """More may be asked for now."""
        if self._handle is not None:
            self._ask(self._handle)

    async def run(self) -> None:
        """Never raises for what can go wrong at the source: trouble with the file ends the file, any other the lane."""
        try:
            async with self._lane.files:
                await self._read()
        except (Refused, Unfit) as error:
            self._trouble(error)
        except SourceError as error:
            self._lane.end(error)
        finally:
            self._forget()

    async def _read(self) -> None:
        look = Look(self._lane, self._path)
        self._opened = self._lane.open(self._lane.root.at(self._path))
        try:
            self._must_be_listed(await look.file())
            self._handle = await self._opened
        finally:
            look.forget()
        opened = self._lane.fstat(self._handle)
        self._ask(self._handle)
        before = self._must_be_listed(_file(await opened))
        while self._part.arrived_bytes < self._part.size_bytes:
            await self._next(self._handle)
        after = await self._look_after(self._handle)
        if not self._part.file.over:
            self._part.take_done(Done(before, after, None))

    def _must_be_listed(self, seen: Stat) -> Stat:
        if not seen.same_file(self._expected):
            raise Unfit(ProblemKind.CHANGED, "it is not as it was listed")
        return seen

    # --- bytes ------------------------------------------------------------------------------------------------------------

    def _ask(self, handle: bytes) -> None:
        end_bytes = self._part.begin + self._part.granted_bytes
        while self._asked_bytes < end_bytes:
            size_bytes = min(self._lane.read_bytes, end_bytes - self._asked_bytes)
            self._reads.append(self._range(handle, self._asked_bytes, size_bytes))
            self._asked_bytes += size_bytes
        if self._asked_bytes == self._part.end and self._last is None:
            self._last = self._lane.fstat(handle), Look(self._lane, self._path)
        self._more.set()

    def _range(self, handle: bytes, offset_bytes: int, size_bytes: int) -> Read:
        return Read(offset_bytes, size_bytes, self._lane.read(handle, offset_bytes, size_bytes))

    async def _next(self, handle: bytes) -> None:
        """Passes on the next bytes; where the server sent fewer than it was asked for, it is asked for the others."""
        while not self._reads:
            self._more.clear()
            await self._more.wait()
        read = self._reads.popleft()
        data = await self._data(read)
        self._part.take_data(data)
        if len(data) < read.size_bytes:
            self._reads.appendleft(self._range(handle, read.offset_bytes + len(data), read.size_bytes - len(data)))
            self._forget_last()

    async def _data(self, read: Read) -> bytes:
        try:
            data = await read.data
        except Refused as error:
            if error.code is Code.EOF:
                raise Unfit(ProblemKind.CHANGED, SHORTER) from error
            raise
        if not 0 < len(data) <= read.size_bytes:
            raise SourceBroken(f"the SFTP server sent {len(data)} bytes of {read.size_bytes} asked for")
        return data

    # --- the end ----------------------------------------------------------------------------------------------------------

    async def _look_after(self, handle: bytes) -> Stat:
        """After the last byte: the file that was read, and that it still has its name."""
        if self._last is None:
            self._last = self._lane.fstat(handle), Look(self._lane, self._path)
        opened, look = self._last
        after = _file(await opened)
        try:
            named = await look.file()
        except Unfit as error:
            raise Unfit(ProblemKind.CHANGED, "it was replaced while it was read") from error
        if not named.same_file(after):
            raise Unfit(ProblemKind.CHANGED, "it was replaced while it was read")
        return after

    def _forget_last(self) -> None:
        if self._last is not None:
            opened, look = self._last
            opened.cancel()
            look.forget()
            self._last = None

    def _trouble(self, error: Refused | Unfit) -> None:
        """What is no file any more is simply another one than was listed (the contract of `fetch`)."""
        problem = problem_of(self._path, error)
        kind = ProblemKind.CHANGED if problem.kind is ProblemKind.LINK else problem.kind
        self.stop = lambda: None
        if not self._part.file.over:
            self._part.file.trouble(Problem(self._path, kind, problem.message))

    def _forget(self) -> None:
        """Closes the file; what was asked for and nobody waits for any more is dropped when it comes."""
        self._forget_last()
        for read in self._reads:
            read.data.cancel()
        self._lane.close_handle(self._opened)


def _file(seen: Attrs) -> Stat:
    """Of an open file. Some servers do not tell its kind there; the path was asked for that."""
    if seen.mode is not None and not seen.is_regular:
        raise Unfit(ProblemKind.CHANGED, "it is not as it was listed")
    return seen.stat
