"""A watch as the client sees it: blocks of news turned into strictly checked notices, as many as were granted."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from forged.model.errors import BadPath, NotSupported, SourceBroken, SourceError, SourceMissing
from forged.model.files import Entry, ProblemKind
from forged.model.paths import SourcePath, shown, source_path
from forged.sources.agent.pulse import WALK_PATIENCE_S, Duty
from forged.sources.agent.wire import Frame, Kind, expect, parse_stat, parse_trouble
from forged.sources.base import Notices

WINDOW_BLOCKS = 16
"""Blocks that the agent may be ahead of whoever listens: about 3,000 files, 1 MiB of Python objects. While it may not send, the
agent joins what happens, and in the end it tells an overflow."""

NAMES_PER_S, SAVED_NAMES = 500.0, 20_000.0
"""How many names a watch may tell all the time, and at once after a quiet time. Programs that make pictures tell a few a second, an
unpacker thousands for some seconds; who tells more for longer is heard later, and joins what happens meanwhile. Among a hundred
hostile boxes those that made up news without end took half of the loop, and an answer to `forgectl status` 16 s."""

LIMIT_HINT = "raise fs.inotify.max_user_instances on the box; until then new files are found by polling"

_NEWS = struct.Struct(">?I")
_NOTICE = struct.Struct(">BH")
_STAT_BYTES = 32
_CLOSED, _FOUND, _GONE = 1, 2, 3


class NewsReader:
    """Checks the news of one watch: every path usable, and below what was asked for. Raises SourceBroken."""

    def __init__(self, folders: Sequence[SourcePath]) -> None:
        self._prefixes = tuple(folder + b"/" for folder in folders) or (b"",)

    def notices(self, block: bytes) -> Notices:
        if len(block) < _NEWS.size or block[0] > 1:
            raise SourceBroken("the agent sent news without a beginning")
        overflow, unwatched = _NEWS.unpack_from(block)
        there: dict[int, list[Entry]] = {_CLOSED: [], _FOUND: []}
        gone: list[SourcePath] = []
        at = _NEWS.size
        while at < len(block):
            what, path, at = self._notice(block, at)
            if what == _GONE:
                gone.append(path)
            else:
                there[what].append(Entry(path, parse_stat(block[at : at + _STAT_BYTES])))
                at += _STAT_BYTES
        return Notices(tuple(there[_CLOSED]), tuple(there[_FOUND]), tuple(gone), overflow, unwatched)

    def _notice(self, block: bytes, at: int) -> tuple[int, SourcePath, int]:
        if len(block) - at < _NOTICE.size:
            raise SourceBroken("the agent sent news that are cut short")
        what, size = _NOTICE.unpack_from(block, at)
        begin, end = at + _NOTICE.size, at + _NOTICE.size + size
        if what not in (_CLOSED, _FOUND, _GONE) or end > len(block):
            raise SourceBroken("the agent sent news of an unknown kind or length")
        return what, self._path(block[begin:end]), end

    def _path(self, raw: bytes) -> SourcePath:
        try:
            path = source_path(raw)
        except BadPath as error:
            raise SourceBroken("the agent sent a path that leads out of the tree or cannot exist") from error
        if not path.startswith(self._prefixes):
            raise SourceBroken("the agent told of a folder that was not asked for")
        return path


class Pace:
    """When the next block of news may be asked for: a token bucket of names."""

    def __init__(self, now_s: float) -> None:
        self._saved, self._seen_s = SAVED_NAMES, now_s

    def told(self, names: int, now_s: float) -> float:
        """So many were told; answers for how many seconds nothing should be asked for."""
        self._saved = min(SAVED_NAMES, self._saved + (now_s - self._seen_s) * NAMES_PER_S) - names
        self._seen_s = now_s
        return max(0.0, -self._saved / NAMES_PER_S)


class WatchCall:
    """One watch on its way: a call to the agent that sends a block for each block granted, whenever there is news."""

    duty, patience_s = Duty.WATCH, WALK_PATIENCE_S

    def __init__(self, folders: Sequence[SourcePath], root: bytes) -> None:
        self._reader, self._root = NewsReader(folders), root
        self._granted = 0
        self._closed = False
        self._news: asyncio.Queue[Notices | SourceError] = asyncio.Queue()
        self.expecting = True
        """Until the first block; after that, silence only means that nothing happens."""

    def granted(self, blocks: int) -> None:
        """The agent was told that it may send that many more."""
        self._granted += blocks

    def take(self, frame: Frame) -> bool:
        self.expecting = False
        if frame.kind != Kind.NOTICED:
            self._news.put_nowait(self._end(frame))
            return True
        self._granted -= 1
        if self._granted < 0:
            raise SourceBroken("the agent told more news than it was asked for")
        notices = self._reader.notices(frame.payload)
        if not self._closed:
            self._news.put_nowait(notices)
        return False

    def _end(self, frame: Frame) -> SourceError:
        """Why the agent watches no longer, or cannot."""
        trouble = parse_trouble(expect(frame, Kind.PROBLEM))
        match trouble.kind:
            case None if self._closed:
                return NotSupported("the watch was closed")
            case ProblemKind.VANISHED | ProblemKind.LINK:
                return SourceMissing(f"{shown(self._root)}: {trouble.message}")
            case ProblemKind.UNREADABLE:
                return NotSupported(f"the box cannot watch now: {trouble.message}", hint=LIMIT_HINT)
            case _:
                raise SourceBroken("the agent ended a watch for no reason")

    def fail(self, error: SourceError) -> None:
        self._news.put_nowait(error)

    async def next(self) -> Notices:
        """What was told next. Raises what ended the watch."""
        news = await self._news.get()
        if isinstance(news, SourceError):
            raise news
        return news

    def close(self) -> None:
        """Nobody listens any more; what still comes is dropped."""
        self._closed = True
