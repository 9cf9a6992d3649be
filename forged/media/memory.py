"""A toy examiner for tests of whoever uses one: no processes, and a format that a test can write by hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from forged.media.base import Found, Opened, Wanted
from forged.model.media import Generation, Likeness, MediaInfo, MediaKind, RawBlock

DEADLY = (b"crash", b"hang", b"bloat")
"""Files that no reader survives; in this one they cost a problem."""

MOST_BYTES = 1 << 16


def look(file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
    """A file is its prompt, in UTF-8: a picture of one pixel by `MemoryExaminer`. Empty: nothing is known of it."""
    blocks = [RawBlock("toy/prompt", _text(file))] if file.size_bytes else []
    blocks += [RawBlock(f"companion/{each.name}/prompt", _text(each)) for each in companions if wanted.metadata]
    first = blocks[0] if blocks and wanted.metadata else None
    generation = Generation("toy", prompt=first.text, origins={"prompt": first.place}) if first is not None else None
    likeness = Likeness(dhash=_text(file).encode()[:8].ljust(8, b"\0")) if wanted.likeness else Likeness()
    kind, form = (MediaKind.IMAGE, "toy") if file.size_bytes else (MediaKind.OTHER, "")
    info = MediaInfo(kind, form, 1, 1, generation=generation, raw=tuple(blocks), likeness=likeness)
    return Found(info, b"a thumbnail of " + _text(file).encode() if wanted.thumbnail and file.size_bytes else None)


def _text(file: Opened) -> str:
    return os.pread(file.fd, min(file.size_bytes, MOST_BYTES), 0).decode(errors="replace")


class MemoryExaminer:
    """Keeps the promises of `base.Examiner`, and notes what it was asked. While `held`, nothing is answered."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...], Wanted]] = []
        self._free = asyncio.Event()
        self._free.set()
        self._is_closed = False

    @property
    def held(self) -> bool:
        return not self._free.is_set()

    @held.setter
    def held(self, is_held: bool) -> None:
        (self._free.clear if is_held else self._free.set)()

    async def examine(self, file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
        self.asked.append((file.name, tuple(each.name for each in companions), wanted))
        await self._free.wait()
        if self._is_closed:
            return _problem("forged stopped before it was read")
        if os.pread(file.fd, 5, 0) in DEADLY:
            return _problem("the process that read it was ended by SIGSEGV")
        return look(file, companions, wanted)

    async def aclose(self) -> None:
        self._is_closed = True
        self._free.set()


def _problem(why: str) -> Found:
    return Found(MediaInfo(MediaKind.OTHER, "", problems=(why,)))
