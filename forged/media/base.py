"""The contract of looking into files, as promises. Bodies: `worker` (processes that can be killed), and a toy for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from forged.model.media import MediaInfo


@dataclass(frozen=True, slots=True)
class Opened:
    """A file at home, open for reading. The descriptor stays the caller's, who closes it when the answer is there."""

    name: str
    """Its last name, for words and to tell a companion by; it opens nothing."""
    fd: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find out. Nothing but `metadata` decodes a picture."""

    metadata: bool = True
    thumbnail: bool = False
    likeness: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out. `thumbnail` is a WebP of at most 512 pixels a side, None where none was wanted or could be made."""

    info: MediaInfo
    thumbnail: bytes | None = None


class Examiner(Protocol):
    """Looks into files whose bytes come from a hostile source.

    A file that crashes, hangs or bloats whoever reads it costs no more than a text in its `MediaInfo.problems`; the next is read
    as ever. Memory and time for one file are bounded. Never raises for what a file holds; WorkerMissing where nothing can be
    looked into at all. Cancelled, it lets go of the file at once.
    """

    async def examine(self, file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
        """What is in it. `companions`: files that lie beside it and say more of it (SwarmUI's `.swarm.json`, the first frame of a
        film); what is known from them has an origin that says so.
        """

    async def aclose(self) -> None:
        """Ends it and its processes; examinations under way end with a problem."""
