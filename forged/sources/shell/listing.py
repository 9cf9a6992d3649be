"""A listing, as a shell's tools give it: records of `find | sort | xargs stat`, read as they come, in the order of whole paths.

Each record ends with `//` and a newline. What stands before that:

    K 1795835931.123456789      the time when it began; the first record
    N ./a                       a folder that was asked for is not there
    81a4 0 17... ./a/b          a look, and the path
    ... /                       a look at the root folder of the box: `find` was denied access to something
    ... /.                      another one: `find` complained of other things
    ... /..                     another one: all names have come through
    U ./a                       a folder, or a file, that could not be looked at
    X                           a tool of the box failed in the middle
    .                           a sign of life
    T / M                       the last record: the root is (or is not) where it was when this began
"""

from __future__ import annotations

import asyncio
import re

from forged.model.errors import BadPath, SourceBroken, SourceError, SourceMissing
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind
from forged.model.paths import MAX_PATH_BYTES, shown, source_path
from forged.sources.agent.pulse import WALK_PATIENCE_S, Duty
from forged.sources.shell import answers
from forged.sources.shell.answers import LOOK, look_of, time_ns

END = b"//\n"
MOST_RECORD_BYTES = 2 * MAX_PATH_BYTES + 512
PART_ENTRIES = 1_024
"""Entries and problems a part may have: some 50 ms of the shell's work, so that whoever waits for the first ones has them soon."""

MOST_IDLE_RECORDS = 1_000_000
"""Records in a row that tell of nothing (signs of life come every 5 s; complaints; files that wait aside): as many as a listing may
have problems. More only serve to keep us busy."""

PARTS_AHEAD = 4
"""So many parts wait for a slow reader; then nothing more is read, and the box's tools wait, too."""

STALE_S = 300
"""A file that waits aside for its removal is not listed, unless it has waited so long that nobody can be at it any more: then it is
a file like any other. The agent's own rule and name (`agent.program.removal`)."""
ASIDE = re.compile(rb"(?:.*/)?\.forged-aside-([0-9a-f]{8})-[0-9a-f]{8}(?:-.+)?", re.DOTALL)

UNSEEN = "it cannot be looked at"
DIED = "a tool of the box ended before it had listed everything"


class ListingReply:
    """One listing on its way. Its lane is nobody else's meanwhile."""

    duty, patience_s = Duty.LIST, WALK_PATIENCE_S

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._said: asyncio.Queue[ListingPart | ListingEnd | SourceError] = asyncio.Queue(PARTS_AHEAD)
        self._rest = b""
        self._clock_ns: int | None = None
        self._last = b""
        self._count = self._denied = self._explained = self._idle = 0
        self._unexplained = self._names_ended = self._over = self._missing = False
        self._entries: list[Entry] = []
        self._problems: list[Problem] = []

    @property
    def expecting(self) -> bool:
        return not self._said.full()

    async def next(self) -> ListingPart | ListingEnd:
        """The next part, or the end. Raises what cut the listing off."""
        said = await self._said.get()
        if isinstance(said, SourceError):
            raise said
        return said

    def fail(self, error: SourceError) -> None:
        """The line ended: said at once, whatever still waits to be read, since nothing may be concluded from it any more."""
        while self._said.full():
            self._said.get_nowait()
        self._said.put_nowait(error)

    async def more(self, data: bytes) -> None:
        *records, self._rest = (self._rest + data).split(END)
        if len(self._rest) > MOST_RECORD_BYTES:
            raise SourceBroken("the shell sent a record of a listing that does not end")
        for record in records:
            before = self._told
            self._take(record)
            self._idle = self._idle + 1 if self._told == before else 0
            if self._idle > MOST_IDLE_RECORDS:
                raise SourceBroken("the shell goes on and on, and lists nothing")
            if self._told >= PART_ENTRIES:
                await self._said.put(self._part())

    @property
    def _told(self) -> int:
        return len(self._entries) + len(self._problems)

    def _part(self) -> ListingPart:
        part = ListingPart(tuple(self._entries), tuple(self._problems))
        self._entries, self._problems = [], []
        return part

    # --- records ----------------------------------------------------------------------------------------------------------

    def _take(self, record: bytes) -> None:
        if self._over:
            raise SourceBroken("the shell goes on after the end of a listing")
        match record[:2], record:
            case _, answers.BEAT:
                return
            case _, b"X":
                raise SourceBroken(DIED)
            case _, b"T" | b"M":
                self._over = True
                self._judge(record)
            case b"K ", _ if self._clock_ns is None:
                self._clock_ns = time_ns(record[2:])
            case _ if self._clock_ns is None:
                raise SourceBroken("the shell began a listing with something else than the time")
            case b"N ", _:
                self._problem(record[2:], ProblemKind.VANISHED, "No such folder")
            case b"U ", _:
                self._explained += 1
                self._problem(record[2:], ProblemKind.UNREADABLE, UNSEEN)
            case _:
                self._seen(record)

    def _problem(self, path: bytes, kind: ProblemKind, message: str) -> None:
        if not path.startswith(b"./") or len(path) > MOST_RECORD_BYTES:
            if path != b".":
                raise SourceBroken("the shell lists what is not below the root")
            path = b"./"
        self._problems.append(Problem(path[2:], kind, message))

    def _seen(self, record: bytes) -> None:
        match = LOOK.match(record)
        if match is None or record[match.end() : match.end() + 1] != b" ":
            raise SourceBroken(f"the shell sent a record that the script does not print: {shown(record[:120])}")
        path = record[match.end() + 1 :]
        if self._names_ended:
            raise SourceBroken("the shell lists more after its last name")
        if path == b"/":
            self._denied += 1
        elif path == b"/.":
            self._unexplained = True
        elif path == b"/..":
            self._names_ended = True
        elif path.startswith(b"./"):
            self._file(path[2:], match)
        else:
            raise SourceBroken("the shell lists what is not below the root")

    def _file(self, raw: bytes, match: re.Match[bytes]) -> None:
        if raw <= self._last:
            raise SourceBroken("the shell lists out of order")
        self._last = raw
        look = look_of(match)
        try:
            path = source_path(raw)
        except BadPath as error:
            self._problems.append(Problem(raw, ProblemKind.BAD_NAME, error.message))
            return
        if not look.is_regular:
            self._problems.append(Problem(path, ProblemKind.LINK, f"it is {look.what_it_is}"))
        elif not self._waits_aside(raw):
            self._count += 1
            self._entries.append(Entry(path, look.stat))

    def _waits_aside(self, raw: bytes) -> bool:
        aside = ASIDE.fullmatch(raw)
        return aside is not None and abs((self._clock_ns or 0) // 10**9 - int(aside.group(1), 16)) < STALE_S

    # --- the end ----------------------------------------------------------------------------------------------------------

    def _judge(self, record: bytes) -> None:
        if record == b"M":
            self._missing = True
        elif not self._names_ended:
            raise SourceBroken(DIED)
        elif self._unexplained or self._denied > self._explained:
            self._problems.append(Problem(b"", ProblemKind.UNREADABLE, "find could not look at everything, and does not say where"))

    async def end(self) -> None:
        if not self._over or self._rest or (self._clock_ns is None and not self._missing):
            raise SourceBroken("the shell broke a listing off")
        if self._missing:
            where = shown(self._root)
            self.fail(SourceMissing(f"{where}: it is not there, or it is another folder than when the listing began"))
            return
        if self._entries or self._problems:
            await self._said.put(self._part())
        await self._said.put(ListingEnd(self._count, self._clock_ns or 0))
