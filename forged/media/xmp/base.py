"""The contract of sidecars, as promises."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from forged.model.media import MediaInfo


@dataclass(frozen=True, slots=True)
class Subject:
    """What a sidecar is to say. `made_ns`: when the file was last written at its source; that clock may be anything."""

    info: MediaInfo
    sha256: bytes
    made_ns: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """The whole sidecar as it should be now."""

    content: bytes


@dataclass(frozen=True, slots=True)
class NotRendered:
    """This one cannot be made, or what lies there is better left alone: why, in words."""

    why: str


class Unchanged(enum.Enum):
    """What is there says all of it already, or there is nothing to say."""

    UNCHANGED = "unchanged"


class Standing(enum.Enum):
    """Whether sidecars can be written."""

    READY = "ready"
    MISSING = "missing"
    TOO_OLD = "too_old"
    BROKEN = "broken"


class SidecarsUnavailable(Exception):
    """exiftool is not to be had now: nothing is wrong with the file, which waits for it. The words say what to do."""


class SidecarWriter(Protocol):
    """Makes sidecars. One at a time for each caller; several callers wait for each other."""

    async def render(self, subject: Subject, existing: bytes | None) -> Rendered | NotRendered | Unchanged:
        """The sidecar of a file, merged into `existing`.

        What others have written there stays; of what forged wrote before, only what nobody has changed since is brought up to date.
        Rendering again what was rendered is UNCHANGED, and so is a file of which no generation is known. Raises
        SidecarsUnavailable.
        """

    async def standing(self) -> Standing:
        """Whether exiftool is there and does what it should. It is looked for again when it was missing a while ago."""

    async def aclose(self) -> None:
        """Ends exiftool."""
