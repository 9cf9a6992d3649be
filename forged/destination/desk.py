"""All that is done at one destination for one target, as plain calls that block: who calls decides in which thread or process.

Arguments and answers are plain values (see `plain`), so that they can cross the border of a process. What may be called side by
side: the calls of the first group one after the other, those of the second as many at once as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from forged.destination.base import LinkMode
from forged.destination.fresh import Fresh
from forged.destination.landing import Landings
from forged.destination.linking import Links
from forged.destination.plain import Fate, Opened, Pour, Seen, Told, Whole, Wish, Written
from forged.destination.root import Root
from forged.destination.sidecars import Sidecars
from forged.destination.staging import Inspect, Staging
from forged.destination.swaps import Swaps
from forged.kit.durable import NoReplace
from forged.model.errors import DestinationError
from forged.model.paths import HomePath
from forged.model.target import HomePolicy

P = ParamSpec("P")
R = TypeVar("R")


class Desk:
    """One folder as one target uses it. Every call raises DestinationError when the place as a whole is in trouble."""

    def __init__(self, home: HomePolicy, namespace: str, min_free_bytes: int, inspect: Inspect) -> None:
        """`namespace` tells the staging areas of targets apart; `inspect` answers whether a file's format finds its end."""
        self._root = Root(home, namespace, min_free_bytes)
        fresh, swaps = Fresh(), Swaps()
        self._staging = Staging(self._root, inspect, fresh, swaps)
        self._landings = Landings(self._root, fresh)
        self._sidecars, self._links = Sidecars(self._root, swaps), Links(self._root, swaps)
        self._inspect = inspect

    def do(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One call. After trouble the place is doubted: the next `ready` tries everything again."""
        try:
            return call(self, *args, **kwargs)
        except DestinationError:
            self._root.doubt()
            raise

    # --- one after the other: the staging area, as `Staging` has it ---------------------------------------------------------

    def opened(self) -> None:
        self._staging.opened()

    def write(self, pours: Sequence[Pour]) -> Written:
        return self._staging.write(pours)

    def catch_up(self, lagging: Sequence[str]) -> Written:
        return self._staging.catch_up(lagging)

    def clone(self, staging: str, attempt: int, source: int, size_bytes: int, begun: bool, most_bytes: int) -> Whole | bool:
        return self._staging.clone(staging, attempt, source, size_bytes, begun, most_bytes)

    def closed(self, stagings: Collection[str]) -> None:
        self._staging.closed(stagings)

    def resume_points(self, stagings: Sequence[str]) -> list[int]:
        return self._staging.resume_points(stagings)

    def discard(self, stagings: Collection[str]) -> None:
        self._staging.discard(stagings)

    def sweep(self, keep: Collection[str]) -> int:
        return self._staging.sweep(keep)

    def close_all(self) -> None:
        self._staging.close_all()

    # --- side by side: the place itself, and the files that have their names -----------------------------------------------

    def ready(self, known_id: str | None, may_be_new: bool) -> tuple[str, int, str]:
        """The marker's id, the free bytes, and the level of `NoReplace`."""
        readiness = self._root.ready(known_id, may_be_new)
        return readiness.id, readiness.free_bytes, readiness.no_replace.value

    def free_space_bytes(self) -> int:
        return self._root.free_space_bytes()

    def room_bytes(self) -> int:
        return self._root.room_bytes()

    def land(self, wishes: Sequence[Wish]) -> list[Fate]:
        return self._landings.land(wishes)

    def look(self, homes: Sequence[HomePath]) -> list[Seen]:
        return self._landings.look(homes)

    def hash(self, home: HomePath) -> bytes | None:
        return self._landings.hash(home)

    def inspect(self, home: HomePath) -> str:
        """A `Wholeness`."""
        return self._landings.inspect(home, self._inspect).value

    def confirm(self, batch: Sequence[HomePath]) -> None:
        self._landings.confirm(batch)

    def believe(self, id: str, level: str) -> None:
        """As `Root.believe`."""
        self._root.believe(id, NoReplace(level))

    def open(self, home: HomePath) -> Opened:
        """Not across the border of a process."""
        return self._landings.open(home)

    def sidecar(self, home: HomePath) -> bytes | Told | None:
        return self._sidecars.read(home)

    def put_sidecar(self, home: HomePath, content: bytes, expects: bytes | None) -> Told:
        return self._sidecars.put(home, content, expects)

    def put_thumbnail(self, sha256: bytes, content: bytes) -> None:
        self._sidecars.put_thumbnail(sha256, content)

    def thumbnail(self, sha256: bytes) -> bytes | None:
        return self._sidecars.thumbnail(sha256)

    def link(self, first: HomePath, second: HomePath, sha256: bytes, mode: str) -> Told:
        return self._links.link(first, second, sha256, LinkMode(mode))
