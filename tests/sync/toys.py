"""Toys that look into files and write sidecars, for the tests of enrichment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forged.media.base import Found, Opened, Wanted
from forged.model.media import Likeness, MediaInfo, MediaKind, RawBlock
from forged.model.sidecars import SidecarFacts, SidecarTrouble


@dataclass
class ToyExaminer:
    """Tells the beginning of a file as its text, and the names of what lies beside it."""

    seen: list[str] = field(default_factory=list)
    before: Callable[[Opened], None] = lambda file: None
    """Called with each file, before the answer."""
    hold: asyncio.Event | None = None
    """Files called `slow…` wait for it."""
    most_at_once: int = 0
    _at_once: int = 0

    async def examine(self, file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(0)
            if self.hold is not None and file.name.startswith("slow"):
                await self.hold.wait()
            self.before(file)
            self.seen.append(file.name)
            return self._found(file, companions, wanted)
        finally:
            self._at_once -= 1

    def _found(self, file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
        text = os.pread(file.fd, 100, 0)
        beside = tuple(RawBlock(f"beside/{one.name}", os.pread(one.fd, 100, 0).decode()) for one in companions)
        problems = ("broken",) if text.startswith(b"broken") else ()
        likeness = Likeness(text[:8].ljust(8)) if wanted.likeness else Likeness()
        raw = (RawBlock("toy/text", text.decode("latin-1")), *beside)
        info = MediaInfo(MediaKind.IMAGE, "toy", raw=raw, likeness=likeness, problems=problems)
        return Found(info, b"thumb of " + text if wanted.thumbnail else None)

    async def aclose(self) -> None:
        """Nothing to end."""


@dataclass
class ToySidecars:
    """One line of ours in each; all other lines stay."""

    available: bool = True
    trouble: SidecarTrouble | None = None
    before: Callable[[], None] = lambda: None

    async def render(self, info: MediaInfo, facts: SidecarFacts, existing: bytes | None) -> bytes | SidecarTrouble | None:
        await asyncio.sleep(0)
        self.before()
        if self.trouble is not None:
            return self.trouble
        ours = f"forged {facts.sha256.hex()} {info.raw[0].text if info.raw else ''}".encode()
        lines = (existing or b"").splitlines()
        merged = b"\n".join([ours, *(line for line in lines if not line.startswith(b"forged "))])
        return None if merged == existing else merged
