"""ShellSource: a Source whose far end is a plain shell with busybox's tools (or GNU's).

What is lost against an agent: nothing is noticed between two listings, every listing is told whole, and a box without `sha256sum`
cannot hash. Removal has the same guard: the file is renamed aside, compared, then unlinked or linked back. (Where a file system has
no hard links, one that is to go back while a new file has come stays aside: nothing is ever overwritten.)
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from forged.model.errors import NotSupported, SourceBroken, SourceError
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart, Stat
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import KeptBecause, Removable, Removed
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent.lanes import Lanes
from forged.sources.agent.listing import outermost
from forged.sources.agent.pulse import PATIENCE_S, Duty, hash_patience_s
from forged.sources.agent.slices import WholeHash
from forged.sources.base import SILENCE_LIMIT_S, Capabilities, Hashed, Notices
from forged.sources.shell import answers
from forged.sources.shell.answers import HINT, Look
from forged.sources.shell.lane import Told
from forged.sources.shell.listing import ListingReply
from forged.sources.shell.opening import Line, OpenShell
from forged.sources.shell.reading import Reader
from forged.sources.shell.shells import Shells

QUESTIONS = 256
"""Asked for in one go: 50 KB of commands, and a tenth of a second of the shell's time."""

HASHES = 8
"""Asked for in one go: whoever leaves early has these hashed in vain at most."""

BEATS_FROM_BYTES = 256 << 20
"""A larger file is hashed with signs of life: they cost two processes, and less takes seconds even on slow boxes."""

ODD = "the shell answered something else than the script prints"


class ShellSource:
    """Lives as the contract says; once lost or broken it stays so: open a new one.

    `open_shell` is called once when the source opens, and again while calls run side by side; up to `max_lanes` times for lines of
    their own while much waits to be fetched. `root`: absolute, bytes. `transport`: a word for people.
    """

    def __init__(
        self,
        open_shell: OpenShell,
        root: bytes,
        *,
        transport: str = "shell",
        max_lanes: int = 1,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        self._transport = transport
        self._shells = Shells(open_shell, root, silence_limit_s)
        self._lanes = Lanes(self._open_lane, max_lanes)
        self._lanes_open = False
        self._opening = asyncio.Lock()
        self._errands: set[asyncio.Task[None]] = set()

    @property
    def capabilities(self) -> Capabilities:
        tools = self._shells.tools
        return Capabilities(
            transport=self._transport,
            hashing=tools.hashing,
            guarded_removal=tools.removing,
            watching=False,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._shells.open()
        except BaseException:
            await self._shells.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._lanes.close()
        await self._shells.close()
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)

    # --- listing ----------------------------------------------------------------------------------------------------------

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        async with self._shells.own() as lane:
            reply = ListingReply(self._shells.tools.root)
            lane.ask(reply, self._shells.script.list(outermost(folders)))
            while True:
                part = await reply.next()
                yield part
                if isinstance(part, ListingEnd):
                    return

    # --- fetching ---------------------------------------------------------------------------------------------------------

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        if not batch:
            return
        async with self._opening:
            if not self._lanes_open:
                _ = self._shells.questions
                await self._lanes.open()
                self._lanes_open = True
        async with aclosing(self._lanes.fetch(batch, sink)) as fetched:
            async for answer in fetched:
                yield answer

    async def _open_lane(self, name: str) -> Reader:
        """The first one goes beside the questions; a line of its own is for those that come when one does not suffice."""
        lane = await self._shells.begin(Reader, Line.OWN if self._lanes_open else Line.SHARED)
        lane.opened(self._shells.script, self._shells.tools.across, self._hash_apart)
        return lane

    def _hash_apart(self, call: WholeHash) -> None:
        errand = asyncio.create_task(self._hash_whole(call), name="hash of a large file")
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def _hash_whole(self, call: WholeHash) -> None:
        try:
            if not call.file.over:
                call.answered(await (await self._ask_hash(call.file.request.entry)).result)
        except SourceError as error:
            call.fail(error)

    # --- hashing and looking ----------------------------------------------------------------------------------------------

    async def _ask_hash(self, entry: Entry) -> Told[Hashed | Problem]:
        size_bytes = entry.stat.size_bytes
        reply = Told(lambda body: _hashed(entry, body), Duty.HASH, hash_patience_s(size_bytes))
        lane = await self._shells.hashes()
        lane.ask(reply, self._shells.script.hash(entry.path, entry.stat, size_bytes >= BEATS_FROM_BYTES))
        return reply

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        if not self.capabilities.hashing:
            raise NotSupported("the box has no sha256sum", hint=HINT)
        asked: deque[Told[Hashed | Problem]] = deque()
        for entry in entries:
            asked.append(await self._ask_hash(entry))
            if len(asked) == HASHES:
                yield await asked.popleft().result
        while asked:
            yield await asked.popleft().result

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        return [seen.stat if isinstance(seen, Look) else seen for seen in await self._looks(paths)]

    async def _looks(self, paths: Sequence[SourcePath]) -> Sequence[Look | Problem]:
        seen: list[Look | Problem] = []
        for start in range(0, len(paths), QUESTIONS):
            asked = [self._look(path) for path in paths[start : start + QUESTIONS]]
            seen += [await one.result for one in asked]
        return seen

    def _look(self, path: SourcePath) -> Told[Look | Problem]:
        reply = Told(lambda body: answers.regular(path, body))
        self._shells.questions.ask(reply, self._shells.script.look(path))
        return reply

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        places: list[Place | Problem] = []
        for start in range(0, len(folders), QUESTIONS):
            asked = [self._resolve(folder) for folder in folders[start : start + QUESTIONS]]
            places += [await one.result for one in asked]
        return places

    def _resolve(self, folder: bytes) -> Told[Place | Problem]:
        reply = Told(lambda body: answers.placed(folder, body))
        self._shells.questions.ask(reply, self._shells.script.resolve(folder))
        return reply

    async def clock_ns(self) -> int:
        asked_s = time.monotonic()
        reply = Told(answers.clock_ns)
        self._shells.questions.ask(reply, self._shells.script.clock())
        clock_ns = await reply.result
        self._lanes.answered(time.monotonic() - asked_s)
        return clock_ns

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        if not self.capabilities.watching:
            raise NotSupported("a shell notices nothing as it happens", hint=HINT)
        yield Notices()

    # --- removing ---------------------------------------------------------------------------------------------------------

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        self._must_remove()
        removed: list[Removed] = []
        for start in range(0, len(batch), QUESTIONS):
            some = batch[start : start + QUESTIONS]
            seen = await self._looks([removable.row.path for removable in some])
            asked = [self._remove(removable, look) for removable, look in zip(some, seen, strict=True)]
            removed += [one if isinstance(one, Removed) else await one.result for one in asked]
        return removed

    def _remove(self, removable: Removable, seen: Look | Problem) -> Removed | Told[Removed]:
        path, expected = removable.row.path, removable.expected
        if isinstance(seen, Problem):
            kept = KeptBecause.VANISHED if seen.kind is ProblemKind.VANISHED else KeptBecause.FAILED
            return Removed(path, KeptBecause.CHANGED if seen.kind is ProblemKind.LINK else kept, seen.message)
        sure = seen.stat.same_file(expected)
        if not (sure or (seen.stat.same_outside(expected) and self.capabilities.hashing)):
            return Removed(path, KeptBecause.CHANGED, "it is not as it was brought home")
        patience_s = PATIENCE_S if sure else hash_patience_s(expected.size_bytes)
        reply = Told(lambda body: _removed(path, body), Duty.SMALL, patience_s)
        sha256 = None if sure else removable.row.sha256
        self._shells.questions.ask(reply, self._shells.script.remove(path, seen.line, seen.lasting, sha256))
        return reply

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        raise NotSupported("a shell removes under guard, or not at all", hint=HINT)

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        self._must_remove()
        gone: list[SourcePath] = []
        deepest_first = sorted(set(folders), reverse=True)  # what is in a folder comes after it in ascending order
        for start in range(0, len(deepest_first), QUESTIONS):
            batch = deepest_first[start : start + QUESTIONS]
            asked = [self._remove_folder(folder) for folder in batch]
            gone += [folder for folder, one in zip(batch, asked, strict=True) if await one.result]
        return gone

    def _remove_folder(self, folder: SourcePath) -> Told[bool]:
        reply = Told(_folder_removed)
        self._shells.questions.ask(reply, self._shells.script.remove_folder(folder))
        return reply

    def _must_remove(self) -> None:
        if not self.capabilities.guarded_removal:
            raise NotSupported("the box lacks what removing under guard takes: mv, ln, rm, rmdir", hint=HINT)


def _hashed(entry: Entry, body: bytes) -> Hashed | Problem:
    """A look, a hash, a look; a look alone where the file is not as its entry says."""
    said = answers.lines(body)
    before = answers.regular(entry.path, b"".join(line + b"\n" for line in said[:1]))
    if isinstance(before, Problem):
        return _read_problem(before)
    if len(said) == 1 or not before.stat.same_file(entry.stat):
        return Problem(entry.path, ProblemKind.CHANGED, "it is not as it was listed")
    after = answers.regular(entry.path, said[-1] + b"\n")
    if isinstance(after, Problem):
        return _read_problem(after)
    if len(said) == 2:
        return Problem(entry.path, ProblemKind.UNREADABLE, "it could not be hashed")
    if len(said) != 3:
        raise SourceBroken("the shell answered with another number of lines than the script prints")
    if not after.stat.same_file(entry.stat):
        return Problem(entry.path, ProblemKind.CHANGED, "it changed while it was hashed")
    return Hashed(entry, after.stat, answers.sha256(said[1]))


def _read_problem(problem: Problem) -> Problem:
    """As the contract names it for who reads: another thing under that name is a change."""
    return Problem(problem.path, ProblemKind.CHANGED, problem.message) if problem.kind is ProblemKind.LINK else problem


def _removed(path: SourcePath, body: bytes) -> Removed:
    match answers.lines(body):
        case [b"R"]:
            return Removed(path)
        case [b"C"] | [b"L"]:
            return Removed(path, KeptBecause.CHANGED, "it changed at the last moment")
        case [b"G"]:
            return Removed(path, KeptBecause.VANISHED, "No such file or directory")
        case [b"A"]:
            return Removed(path, KeptBecause.CHANGED, "it changed at the last moment, and waits aside, since its name is taken")
        case [b"F"] | [b"U"]:
            return Removed(path, KeptBecause.FAILED, "the box does not let it be removed")
        case _:
            raise SourceBroken(ODD)


def _folder_removed(body: bytes) -> bool:
    if body not in (b"R\n", b"", b"G\n", b"L\n", b"U\n"):
        raise SourceBroken(ODD)
    return body == b"R\n"
