"""The place kept open over many pieces of work of one thread, and looked at again before each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from forged.destination.place import Place
from forged.destination.root import Root
from forged.destination.trouble import border


class Stay:
    """Used in one thread. `wanted` may be set from another: while it is not, nothing stays open between two pieces of work, so
    that a disk at rest can be unmounted."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._place: Place | None = None
        self.wanted = False

    @contextmanager
    def enter(self) -> Iterator[Place]:
        """As `Root.enter`. After any trouble the place is opened afresh."""
        if self._place is None or not self._place.is_still_there():
            self.leave()
            self._place = self._root.open()
        try:
            with border(self._root.where):
                yield self._place
        except BaseException:
            self.leave()
            raise
        if not self.wanted:
            self.leave()

    @property
    def staging(self) -> int | None:
        """The open staging folder, while it is kept."""
        return self._place.staging if self._place is not None else None

    def leave(self) -> None:
        """Closes it."""
        place, self._place = self._place, None
        if place is not None:
            place.close()
