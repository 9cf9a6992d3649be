"""Where bytes wait for their final names: `.forged/staging/<namespace>/`.

It blocks and runs in one thread, so that the pieces of a file stay in order without locks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Sequence

from forged.destination.claims import settle_claim
from forged.destination.fresh import Fresh
from forged.destination.place import Place
from forged.destination.plain import Pour, Whole, Written
from forged.destination.pouring import PRIVATE_MODE, Pouring, ahead_name, beginning_bytes, few_chunks, part_name
from forged.destination.root import Root
from forged.destination.stay import Stay
from forged.destination.swaps import Swaps
from forged.kit.durable import NEW_FILE, Folders, begin_writing, write_chunks
from forged.model.transfer import Wholeness

Inspect = Callable[[int, int, bytes], Wholeness]
"""Looks at the end of a file by its format: (descriptor open for reading, size in bytes, its first bytes, as many as are at hand).
Never raises for what it reads, does not close the descriptor, and does not rely on its position."""

MOST_OPEN = 64
"""Unfinished files held open at once; more are closed and opened again in turn. A soft limit of 1,024 serves 15 targets so."""

LOOK_EVERY_BYTES = 64 << 20
"""Between two looks at the free space; as much as [transfer] in_flight, so min_free is missed by no more than twice that."""

BEGINNING_BYTES = 1 << 16
"""Of a file that comes in one piece, so many bytes are shown to the inspection as they came: all of a small one."""

STEP_BYTES = 4 << 20
"""Of a file that is cloned, copied by the kernel, or read back for its hash, in one step: 3 ms, so that the pieces of others are
not held up."""


class Staging:
    """The staging area of one target."""

    def __init__(self, root: Root, inspect: Inspect, fresh: Fresh, swaps: Swaps) -> None:
        """What becomes whole is put into `fresh`; `swaps` knows of its own what may be swept."""
        self._root, self._stay = root, Stay(root)
        self._inspect = inspect
        self._fresh, self._swaps = fresh, swaps
        self._sinks = 0
        self._pourings: dict[str, Pouring] = {}
        self._open: dict[str, Pouring] = {}  # those that hold a descriptor, in the order of last use
        self._unlooked_bytes = 0

    def write(self, pours: Sequence[Pour]) -> Written:
        """Takes all of them in one go. Raises DestinationError and SourceBroken."""
        with self._stay.enter() as place:
            self._check_free(place, sum([len(chunk) for *_, chunks, _ in pours for chunk in chunks]))
            answers = [self._at_once(place, pour) or self._add(place, pour) for pour in pours]
            whole = [answer for answer in answers if answer is not None]
            if not self._pourings:
                return whole, []
            return self._caught_up(place, whole, dict.fromkeys(staging for staging, *_ in pours))

    def catch_up(self, lagging: Sequence[str]) -> Written:
        """One more step for these. Raises DestinationError."""
        with self._stay.enter() as place:
            return self._caught_up(place, [], lagging)

    def _at_once(self, place: Place, pour: Pour) -> Whole | None:
        """Most files come in one piece. None where this is not one, or something of it is there already."""
        staging, _, resume_bytes, offset_bytes, data, last = pour
        if not last or offset_bytes or resume_bytes or staging in self._pourings:
            return None
        try:
            fd = os.open(part_name(staging), NEW_FILE, PRIVATE_MODE, dir_fd=place.staging)
        except FileExistsError:
            return None
        try:
            chunks, hash = few_chunks(data), hashlib.sha256()
            if chunks:
                write_chunks(fd, chunks, 0)
                for chunk in chunks:
                    hash.update(chunk)
            size_bytes = sum(map(len, chunks))
            begin_writing(fd, 0, size_bytes)
            return self._staged(fd, staging, size_bytes, hash.digest(), bytes(chunks[0][:BEGINNING_BYTES]) if chunks else b"")
        except BaseException:
            os.close(fd)
            raise

    def _add(self, place: Place, pour: Pour) -> Whole | None:
        staging, attempt, resume_bytes, offset_bytes, chunks, last = pour
        pouring = self._pourings.get(staging)
        if pouring is None or pouring.restarts(attempt, offset_bytes):
            pouring = self._begin(place, staging, attempt, resume_bytes)
        self._hold_open(pouring)
        pouring.add(place.staging, offset_bytes, few_chunks(chunks), last)
        return self._finish(place, pouring) if pouring.whole else None

    def _caught_up(self, place: Place, whole: list[Whole], stagings: Iterable[str]) -> Written:
        """After one step, over all of these together, in which the hash follows where it lags."""
        left_bytes, lagging = STEP_BYTES, []
        for staging in stagings:
            pouring = self._pourings.get(staging)
            while pouring is not None and pouring.lags and left_bytes > 0:
                left_bytes -= pouring.catch_up(place.staging, left_bytes)
            if pouring is not None and pouring.lags:
                lagging.append(staging)
            elif pouring is not None and pouring.whole:
                whole.append(self._finish(place, pouring))
        return whole, lagging

    def clone(self, staging: str, attempt: int, source: int, size_bytes: int, begun: bool, most_bytes: int) -> Whole | bool:
        """Draws the next bytes of a file of so many from the open file `source`; not `begun`: the first ones.

        Answers the file when it is whole, else whether it goes on like this. Raises DestinationError.
        """
        with self._stay.enter() as place:
            self._check_free(place, most_bytes)
            pouring = self._pourings.get(staging) if begun else self._begin(place, staging, attempt, 0)
            if pouring is None:
                return False  # swept away meanwhile
            self._hold_open(pouring)
            if not pouring.draw(place.staging, source, size_bytes, most_bytes):
                self.close([staging])
                return False
            return self._finish(place, pouring) if pouring.whole else True

    def resume_points(self, stagings: Sequence[str]) -> list[int]:
        """As the contract says. The folder is listed once: mostly it is empty, and nothing has to be asked by name."""
        with self._root.enter() as place:
            there = set(os.listdir(place.staging))
            return [
                beginning_bytes(place.staging, staging) if os.fsdecode(part_name(staging)) in there else 0 for staging in stagings
            ]

    def opened(self) -> None:
        """One more sink: while there is one, the place is kept open, and files that are whole are held open for landing."""
        self._sinks += 1
        self._stay.wanted = True

    def closed(self, stagings: Collection[str]) -> None:
        """One sink less: lets go of its unfinished files, and with the last sink of everything. All of it stays where it is."""
        self._sinks -= 1
        self.close(stagings)
        self._stay.wanted = self._sinks > 0
        if not self._stay.wanted:
            self._stay.leave()
            self._fresh.close_all()

    def close(self, stagings: Collection[str]) -> None:
        """Lets go of unfinished files; they stay."""
        for staging in stagings:
            pouring = self._pourings.pop(staging, None)
            if pouring is not None:
                self._open.pop(staging, None)
                pouring.close(self._stay.staging)

    def close_all(self) -> None:
        """Lets go of everything; it stays."""
        self.close(list(self._pourings))
        self._stay.leave()
        self._fresh.close_all()

    def discard(self, stagings: Collection[str]) -> None:
        """As the contract says."""
        self.close(stagings)
        self._fresh.close(stagings)
        with self._root.enter() as place, self._root.folders(place) as folders:
            for staging in stagings:
                _drop(place, folders, staging)

    def sweep(self, keep: Collection[str]) -> int:
        """As the contract says."""
        kept = set(keep)
        self.close([staging for staging in self._pourings if staging not in kept])
        with self._root.enter() as place, self._root.folders(place) as folders:
            strays = [name for name in os.listdir(place.staging) if os.path.splitext(name)[0] not in kept]
            for name in filter(self._swaps.is_ours, strays):
                self._swaps.settle(place, folders, name)
            strays = [name for name in strays if not self._swaps.is_ours(name)]
            stagings = {os.path.splitext(name)[0] for name in strays}
            self._fresh.close(stagings)
            for staging in stagings:
                _drop(place, folders, staging)
            for name in strays:  # what else lies there: probes and temporary notes of a crash
                _unlink(place.staging, os.fsencode(name))
            return len(strays)

    def _begin(self, place: Place, staging: str, attempt: int, resume_bytes: int) -> Pouring:
        self.close([staging])
        self._fresh.close([staging])
        pouring = self._pourings[staging] = Pouring(place.staging, staging, attempt, resume_bytes)
        return pouring

    def _hold_open(self, pouring: Pouring) -> None:
        """It is used now; another one is let go of where too many are open."""
        self._open.pop(pouring.staging, None)
        self._open[pouring.staging] = pouring
        if len(self._open) > MOST_OPEN:
            self._open.pop(next(iter(self._open))).close()

    def _finish(self, place: Place, pouring: Pouring) -> Whole:
        """Its descriptor goes over to `fresh`, or is closed."""
        fd, staging = pouring.opened(place.staging), pouring.staging
        del self._pourings[staging]
        self._open.pop(staging, None)
        try:
            pouring.write_back(fd)
            return self._staged(fd, staging, pouring.size_bytes, pouring.sha256, b"")
        except BaseException:
            os.close(fd)
            raise

    def _staged(self, fd: int, staging: str, size_bytes: int, sha256: bytes, beginning: bytes) -> Whole:
        """A whole file. Its descriptor is handed on when this returns, and not when it raises."""
        wholeness = self._inspect(fd, size_bytes, beginning)
        self._fresh.hold(staging, sha256, fd)
        return staging, size_bytes, sha256, wholeness.value

    def _check_free(self, place: Place, size_bytes: int) -> None:
        """Before that many more are written. Raises DiskFull."""
        self._unlooked_bytes += size_bytes
        if self._unlooked_bytes >= LOOK_EVERY_BYTES:
            self._unlooked_bytes = 0
            self._root.check_free(place.staging)


def _drop(place: Place, folders: Folders, staging: str) -> None:
    """The bytes go first: without its note a file with a hole would look like an unbroken beginning."""
    _unlink(place.staging, part_name(staging))
    _unlink(place.staging, ahead_name(staging))
    settle_claim(place.staging, staging, folders)


def _unlink(folder: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
