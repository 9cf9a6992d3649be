"""Who writes sidecars: what it is told, and what it answers. Made in media/xmp; used by the steps, which keep them at home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from forged.model.media import MediaInfo


@dataclass(frozen=True, slots=True)
class SidecarFacts:
    """What is to be said of a file beside its media info."""

    name: str
    """Its last name at home, for people; it opens nothing."""
    target: str
    sha256: bytes
    made_ns: int
    """Its mtime at the source."""


@dataclass(frozen=True, slots=True)
class SidecarTrouble:
    """There is no sidecar now, and why. `later`: not for this file's sake (exiftool is missing): it is owed, and follows."""

    why: str
    later: bool = False


class Sidecars(Protocol):
    """Makes the content of sidecars. Never opens a file of a source."""

    @property
    def available(self) -> bool:
        """Whether any can be made just now."""

    async def render(self, info: MediaInfo, facts: SidecarFacts, existing: bytes | None) -> bytes | SidecarTrouble | None:
        """The sidecar, with all in it that others have written into `existing`. None: `existing` says all of it already."""
