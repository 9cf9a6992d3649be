"""What we remember: manifest rows, host-key pins, holds and pauses, destinations."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NewType, Protocol

from msgspec import Struct

from forged.model.files import Stat
from forged.model.paths import HomePath, SourcePath

ManifestName = NewType("ManifestName", str)
"""Whose memory it is: a target's name, or the id of the instance that discovery found (addresses change, memories do not)."""


class AtSource(enum.Enum):
    """Where the source's own copy is, as last seen."""

    PRESENT = "present"
    GONE = "gone"  # vanished by itself
    REMOVED = "removed"  # removed by our cleanup


class ManifestRow(Struct, frozen=True, gc=False):
    """One version of one path that we brought home. The newest version of a path is its current one; older ones stay as history."""

    path: SourcePath
    stat: Stat
    sha256: bytes
    home: HomePath
    landed_at_ns: int
    incomplete: bool = False
    at_source: AtSource = AtSource.PRESENT
    tombstone_at_ns: int | None = None
    """Set when the owner deleted the file at home: it is not brought back."""


@dataclass(frozen=True, slots=True)
class HostKeyPin:
    """The host key accepted for a target: the public key in OpenSSH's one-line form, and when it was pinned."""

    key: str
    fingerprint: str
    pinned_at_ns: int


class PinKeeper(Protocol):
    """Remembers host keys. Provided by the store to the SSH sources, which must not see the store."""

    async def pinned(self, name: ManifestName) -> HostKeyPin | None:
        """The key accepted for `name`, if any."""

    async def pin(self, name: ManifestName, pin: HostKeyPin) -> None:
        """Remembers `pin`, replacing an older one. Only first use and `forgectl trust` may call this."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a target's cleanup and forgetting are frozen until a person releases it. Bringing files home goes on."""

    reason: str
    message: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A target that a person paused."""

    since_ns: int
