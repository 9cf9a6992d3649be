"""Looking into folders of an SFTP server, many at once, ahead of whoever reads what is in them.

A folder costs two round trips: looked at and opened in one go, then read to its end. Over a long line nothing else counts, so
those that come next are looked into side by side. What waits to be read is bounded; a folder whose turn has come may take more,
because it has to be sorted before its first file can be told.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from forged.model.errors import SourceEndless
from forged.model.files import Problem, ProblemKind
from forged.model.paths import MAX_COMPONENT_BYTES, MAX_PATH_BYTES
from forged.sources.agent.program.removal import MARK
from forged.sources.sftp.lane import MOST_FOLDERS, SftpLane
from forged.sources.sftp.look import Look, Unfit, problem_of, what_it_is
from forged.sources.sftp.wire import Attrs, Code, Named, Refused

AHEAD_BYTES = 2 << 20
"""What may be read ahead: some 22,000 files of usual names."""

MOST_BYTES = 32 << 20
"""What a folder whose turn has come may take: some 350,000 files. A hostile box can make us keep no more than that."""

ITEM_BYTES, FOLDER_BYTES = 41, 2_000
"""What an item takes beside its bytes (an object and its place in a list), and a folder beside its items."""

FIRST_QUESTIONS, MOST_QUESTIONS = 3, 32
"""READDIRs of one folder on their way: so many at first (OpenSSH answers each with 100 names, and the last with their end), and
twice as many each time, so that 100,000 files take 2 s at 50 ms."""

NAMES_ON_THEIR_WAY = 6_400
"""As many as that many questions bring from OpenSSH; from a server that sends more at once, fewer questions bring them."""

ALL_QUESTIONS = 64
"""READDIRs of one listing on their way: what a hostile server may send before anything can be done about it."""

LOOKS_AT_ONCE = 64
"""Files whose folder does not tell enough, asked for one by one."""

FACTS = struct.Struct(">QI")

ENDLESS_HINT = (
    "a folder with so many files needs the agent: python3 (3.6 or newer) on the box, and ssh://. On a small box: do not trust it"
)


@dataclass(slots=True, eq=False)
class Folder:
    """What is in one folder, as items that sort as the paths below it do: `name NUL facts` of a file (12 bytes), `name /` of a
    folder, `name NUL kind message` of what is neither."""

    path: bytes
    items: list[bytes] = field(default_factory=list)
    problem: Problem | Unfit | Refused | None = None
    size_bytes: int = FOLDER_BYTES
    wanted: bool = False
    """Somebody waits for it."""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    scan: asyncio.Task[None] | None = None

    @property
    def prefix(self) -> bytes:
        return self.path + b"/" if self.path else b""

    def add(self, name: bytes, attrs: Attrs) -> int:
        """Answers how much more it takes."""
        item = self._item(name, attrs)
        self.items.append(item)
        self.size_bytes += len(item) + ITEM_BYTES
        return len(item) + ITEM_BYTES

    def _item(self, name: bytes, attrs: Attrs) -> bytes:
        if len(name) > MAX_COMPONENT_BYTES or len(self.path) + 1 + len(name) > MAX_PATH_BYTES:
            return _trouble(name[:MAX_COMPONENT_BYTES], ProblemKind.BAD_NAME, "its path is too long")
        if attrs.is_folder:
            return name + b"/"
        if not attrs.is_regular:
            return _trouble(name, ProblemKind.LINK, "it is " + what_it_is(attrs.mode or 0))
        if name.startswith(MARK):
            return _trouble(name, ProblemKind.UNREADABLE, "an interrupted removal left it aside; an agent (ssh://) puts it back")
        seen = attrs.stat
        return name + b"\0" + FACTS.pack(seen.size_bytes, attrs.mtime_s)

    def folders(self) -> Iterator[bytes]:
        """The paths of those in it, in order."""
        prefix = self.prefix
        return (prefix + item[:-1] for item in self.items if b"\0" not in item)


def _trouble(name: bytes, kind: ProblemKind, message: str) -> bytes:
    return b"%b\0%b\0%b" % (name, kind.value.encode(), message.encode())


class Scans:
    """The folders of one listing. `close` ends what runs."""

    def __init__(self, lane: SftpLane, tops: Iterable[bytes]) -> None:
        self._lane = lane
        self._running: set[Folder] = set()
        self._ready: dict[bytes, Folder] = {}
        """Begun, and not taken yet."""
        self._next: list[tuple[bytes, int, Iterator[bytes]]] = []
        """The next folder of each that has some left: its place in the order of paths, and those behind it."""
        self._passed = b""
        self._held_bytes = 0
        self._free = asyncio.Semaphore(ALL_QUESTIONS)
        self._closed = False
        self._push(iter(tops))

    async def take(self, path: bytes) -> Folder:
        """The folder, looked into; its items are sorted. Folders are taken in ascending order. Raises SourceError."""
        self._passed = path + b"/"
        folder = self._ready.pop(path, None) or self._begin(path)
        folder.wanted = True
        folder.go_on.set()
        self._look_ahead()
        assert folder.scan is not None
        await asyncio.wait([folder.scan])
        folder.scan.result()
        return folder

    def drop(self, folder: Folder) -> None:
        """It has been read."""
        self._held_bytes -= folder.size_bytes
        self._look_ahead()

    async def close(self) -> None:
        scans = [folder.scan for folder in self._running if folder.scan is not None]
        self._closed = True
        for scan in scans:
            scan.cancel()
        await asyncio.gather(*scans, return_exceptions=True)

    # --- ahead ------------------------------------------------------------------------------------------------------------

    def _push(self, folders: Iterator[bytes]) -> None:
        if path := next(folders, None):
            heappush(self._next, (path + b"/", id(folders), folders))

    def _look_ahead(self) -> None:
        """Begins with what comes next, as long as there is room."""
        while self._next and not self._closed and len(self._running) < MOST_FOLDERS and self._held_bytes < AHEAD_BYTES:
            place, _, folders = heappop(self._next)
            self._push(folders)
            if place > self._passed and place[:-1] not in self._ready:
                self._ready[place[:-1]] = self._begin(place[:-1])
        if self._held_bytes < AHEAD_BYTES:
            for folder in self._running:
                folder.go_on.set()

    def _begin(self, path: bytes) -> Folder:
        folder = Folder(path)
        self._held_bytes += folder.size_bytes
        self._running.add(folder)
        folder.scan = asyncio.create_task(self._scan(folder), name=f"{self._lane.name} folder")
        folder.scan.add_done_callback(lambda scan: self._ended(folder, scan))
        return folder

    def _ended(self, folder: Folder, scan: asyncio.Task[None]) -> None:
        self._running.discard(folder)
        if not scan.cancelled() and scan.exception() is None:  # else `take` tells
            self._push(folder.folders())
            self._look_ahead()

    # --- one folder -------------------------------------------------------------------------------------------------------

    async def _scan(self, folder: Folder) -> None:
        look, opened = Look(self._lane, folder.path), self._lane.opendir(self._lane.root.at(folder.path))
        try:
            await look.folder()
            await self._read(folder, await opened)
        except (Refused, Unfit) as error:
            folder.problem = error
        finally:
            look.forget()
            self._lane.close_handle(opened)
        folder.items.sort()  # what was seen before an error is told, too

    async def _read(self, folder: Folder, handle: bytes) -> None:
        """Reads it to its end, with more questions on their way the longer it gets. What comes is kept in short at once."""
        questions, ahead, short = deque[asyncio.Future[bytes]](), FIRST_QUESTIONS, list[bytes]()
        try:
            while True:
                if not questions:
                    await self._room(folder)
                while len(questions) < ahead and self._may_ask(folder) and not (questions and self._free.locked()):
                    await self._free.acquire()
                    questions.append(self._lane.readdir(handle))
                names = self._lane.names_of(await questions[0])
                self._keep(folder, names, short)
                questions.popleft()
                self._free.release()
                ahead = min(2 * ahead, MOST_QUESTIONS, NAMES_ON_THEIR_WAY // (len(names) + 1) + 1)
        except Refused as error:
            if error.code is not Code.EOF:
                raise
        finally:
            for question in questions:
                question.cancel()
                self._free.release()
        await self._look_at_each(folder, short)

    def _keep(self, folder: Folder, names: Iterable[Named], short: list[bytes]) -> None:
        """Raises SourceEndless for a folder without end."""
        for name, attrs in names:
            if attrs.whole:
                self._held_bytes += folder.add(name, attrs)
            else:
                short.append(name)
                self._held_bytes += len(name) + ITEM_BYTES
        if self._held_bytes > AHEAD_BYTES + MOST_BYTES:
            raise SourceEndless("a folder of the source has more files than can be sorted here", hint=ENDLESS_HINT)

    def _may_ask(self, folder: Folder) -> bool:
        """Not while others have not been read and nobody waits for this one."""
        return folder.wanted or self._held_bytes < AHEAD_BYTES

    async def _room(self, folder: Folder) -> None:
        while not self._may_ask(folder):
            folder.go_on.clear()
            await folder.go_on.wait()

    async def _look_at_each(self, folder: Folder, names: list[bytes]) -> None:
        """A server may leave out what it knows of a name; what is gone meanwhile is not there."""
        for start in range(0, len(names), LOOKS_AT_ONCE):
            some = names[start : start + LOOKS_AT_ONCE]
            seen = [self._lane.lstat(self._lane.root.at(folder.prefix + name)) for name in some]
            await asyncio.wait(seen)
            for name, attrs in zip(some, seen, strict=True):
                self._held_bytes -= len(name) + ITEM_BYTES
                try:
                    self._held_bytes += folder.add(name, await attrs)
                except Refused as error:
                    if error.code is not Code.NO_SUCH_FILE:
                        self._held_bytes += self._add_trouble(folder, name, error)

    def _add_trouble(self, folder: Folder, name: bytes, error: Refused) -> int:
        item = _trouble(name, problem_of(name, error).kind, str(error))
        folder.items.append(item)
        folder.size_bytes += len(item) + ITEM_BYTES
        return len(item) + ITEM_BYTES
