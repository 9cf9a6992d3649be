"""What can go wrong at a memory source: one small class per trouble, each striking at one step."""

from __future__ import annotations

from collections.abc import Callable

from forged.model.errors import SourceError, SourceLost, SourceUnreachable
from forged.model.transfer import Request
from forged.sources.base import Notices
from forged.sources.memory_box import PIECE_BYTES, MemoryBox


class Fault:
    """Asked at every step; does nothing. A subclass strikes at one of them, by raising or by changing the box."""

    def on_open(self, box: MemoryBox) -> None:
        """Before the source is open."""

    def before_part(self, box: MemoryBox, entries_sent: int) -> None:
        """Before each part of a listing."""

    def before_piece(self, box: MemoryBox, request: Request, offset_bytes: int) -> None:
        """Before each piece of a file is read."""

    def before_notices(self, box: MemoryBox, notices: Notices) -> Notices:
        """Before each answer of a watch; what it answers is told instead."""
        return notices

    def before_removal(self, box: MemoryBox) -> None:
        """Before a batch of files is removed."""

    def after_removal(self, box: MemoryBox) -> None:
        """Before it is told which of them went."""


class RefuseConnections(Fault):
    """The first `times` attempts to open fail with `error`."""

    def __init__(self, times: int, error: SourceError | None = None) -> None:
        self.left = times
        self.error = error or SourceUnreachable("connection refused")

    def on_open(self, box: MemoryBox) -> None:
        if self.left > 0:
            self.left -= 1
            raise self.error


class CutListing(Fault):
    """The line breaks once `entries` have been listed, the first `times` times."""

    def __init__(self, entries: int, times: int = 1) -> None:
        self.entries = entries
        self.left = times

    def before_part(self, box: MemoryBox, entries_sent: int) -> None:
        if entries_sent >= self.entries and self.left > 0:
            self.left -= 1
            raise SourceLost("the line broke in the middle of the listing")


class LoseAfterBytes(Fault):
    """The line breaks each time another `size_bytes` have been read, `times` times."""

    def __init__(self, size_bytes: int, times: int = 1) -> None:
        self.size_bytes = size_bytes
        self.left = times
        self._read_bytes = 0

    def before_piece(self, box: MemoryBox, request: Request, offset_bytes: int) -> None:
        if self.left > 0 and self._read_bytes >= self.size_bytes:
            self.left -= 1
            self._read_bytes = 0
            raise SourceLost("the line broke in the middle of a file")
        self._read_bytes += min(PIECE_BYTES, request.entry.stat.size_bytes - offset_bytes)


class DuringFetch(Fault):
    """Once a file has been read up to `offset_bytes`, something happens to the box: it is rewritten, replaced, deleted."""

    def __init__(self, path: bytes, offset_bytes: int, happens: Callable[[MemoryBox], object]) -> None:
        self.path = path
        self.offset_bytes = offset_bytes
        self.happens = happens
        self._struck = False

    def before_piece(self, box: MemoryBox, request: Request, offset_bytes: int) -> None:
        if not self._struck and request.entry.path == self.path and offset_bytes >= self.offset_bytes:
            self._struck = True
            self.happens(box)


class CutWatch(Fault):
    """The line breaks instead of telling that anything happened, `times` times; a watch still begins."""

    def __init__(self, times: int = 1) -> None:
        self.left = times

    def before_notices(self, box: MemoryBox, notices: Notices) -> Notices:
        if notices != Notices() and self.left > 0:
            self.left -= 1
            raise SourceLost("the line broke in the middle of a watch")
        return notices


class MissNotices(Fault):
    """What happened was too much to be told: only that something was missed is, `times` times."""

    def __init__(self, times: int = 1) -> None:
        self.left = times

    def before_notices(self, box: MemoryBox, notices: Notices) -> Notices:
        if notices != Notices() and self.left > 0:
            self.left -= 1
            return Notices(overflow=True)
        return notices


class CutCleanup(Fault):
    """The line breaks when files are to be removed, once: before the source has heard of it, or before it is heard again."""

    def __init__(self, *, removed: bool) -> None:
        self._removed, self._left = removed, 1

    def before_removal(self, box: MemoryBox) -> None:
        if not self._removed:
            self._cut()

    def after_removal(self, box: MemoryBox) -> None:
        if self._removed:
            self._cut()

    def _cut(self) -> None:
        if self._left > 0:
            self._left -= 1
            raise SourceLost("the line broke in the middle of a cleanup")
