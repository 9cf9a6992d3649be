"""Staged files that have just become whole, still open.

Most files get their names a moment after their last byte has come. Until then they are held open: so they need not be looked up and
looked at again, and their fsync tells of whatever went wrong with their writing since they were opened (fsync(2)).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Collection

MOST_HELD = 1024
"""What gets its names in one go, and what comes in meanwhile (sync/cycle, LANDING_BATCH). With half of it, most small files were
opened again: of ten system calls for each that was three."""

SHARE_OF_LIMIT = 16
"""Of the soft limit of open files, one part in so many may be held by a target: 64 of the usual 1,024."""


class Fresh:
    """The open files, for several threads: each call is one step. A descriptor that was taken belongs to who took it."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[bytes, int]] = {}
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.most = MOST_HELD if limit == resource.RLIM_INFINITY else max(min(MOST_HELD, limit // SHARE_OF_LIMIT), 1)
        """So many files may be open here, and so many in each landing."""

    def hold(self, staging: str, sha256: bytes, fd: int) -> None:
        """Takes over the descriptor; closes it where enough are held."""
        if len(self._held) < self.most:
            self._held[staging] = (sha256, fd)
        else:
            os.close(fd)

    def take(self, staging: str, sha256: bytes) -> int | None:
        """Its descriptor; None where it is not held, or other content has come in its place."""
        held = self._held.pop(staging, None)
        if held is None or held[0] == sha256:
            return held[1] if held is not None else None
        os.close(held[1])
        return None

    def close(self, stagings: Collection[str]) -> None:
        """Lets go of these."""
        for staging in stagings:
            held = self._held.pop(staging, None)
            if held is not None:
                os.close(held[1])

    def close_all(self) -> None:
        """Lets go of all."""
        self.close(list(self._held))
