"""Putting a file in the place of another only while that is still what was read, so that no edit of the owner's is ever lost.

Both names are exchanged in one step (renameat2, RENAME_EXCHANGE). What was swapped out then lies in the staging area, where it can
be looked at in peace: it is what was expected, and goes; or the owner was quicker, and it goes back. A note, `<staging>.swap`, says
so before: what a crash left half done is finished the next time.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from forged.destination.hashing import sha256_of
from forged.destination.place import Place
from forged.destination.pouring import part_name
from forged.destination.regular import above, closing, name_of
from forged.kit.durable import READ, Folders, exchange, rename_noreplace, write_durably
from forged.model.errors import BadPath
from forged.model.paths import HomePath, home_path
from forged.rules.names import VersionNames

OURS = "swap-"
"""Begins the staging names of what is to be swapped: no entry of a source has such a one (rules.resume gives hex digits)."""

_HASH_BYTES = 32


class Swaps:
    """What is being swapped just now; only what is not may be settled or swept. For several threads: each call is one step."""

    def __init__(self) -> None:
        self._under_way: set[str] = set()
        self.settled = False
        """Whether what an earlier process left was settled."""

    @contextmanager
    def begun(self, place: Place) -> Iterator[str]:
        """A fresh staging name for what is to be put in a place. What is left of it in the end goes, unless a note is left, too."""
        staging = OURS + secrets.token_hex(8)
        self._under_way.add(staging)
        try:
            yield staging
        finally:
            self._under_way.discard(staging)
            if not _is_there(place, _note(staging)):
                _unlink(place, part_name(staging))

    def is_ours(self, name: str) -> bool:
        """Whether this name in the staging area is of a swap."""
        return name.startswith(OURS)

    def settle(self, place: Place, folders: Folders, name: str) -> None:
        """Finishes what an earlier process began and left under this name. Nothing while it is under way."""
        staging = name.partition(".")[0]
        if staging not in self._under_way:
            settle(place, folders, staging)
            _unlink(place, name.encode())  # a note that was never whole has a name of its own

    def settle_all(self, place: Place, folders: Folders) -> None:
        """Once in the life of a process: whatever lies there was left by another."""
        if not self.settled:
            for name in filter(self.is_ours, os.listdir(place.staging)):
                self.settle(place, folders, name)
            self.settled = True


def swap(
    place: Place, folders: Folders, staging: str, home: HomePath, expected: bytes, ours: bytes, same: Callable[[int], bool]
) -> bool | None:
    """Exchanges the staged file with the one at home; None where this cannot be done here.

    `expected` and `ours` are the sha256 of both. `same` says of the open file that was swapped out whether it is what was expected.
    False: it was not, and is back. Raises OSError (EXDEV, ENOENT).
    """
    write_durably(place.staging, _note(staging), expected + ours + home)
    try:
        swapped = exchange(place.staging, part_name(staging), folders.open(above(home)), name_of(home))
    except OSError:
        _unlink(place, _note(staging))
        raise
    if not swapped:
        _unlink(place, _note(staging))
        return None
    with closing(os.open(part_name(staging), READ, dir_fd=place.staging)) as fd:
        is_expected = same(fd)
    if is_expected:
        _unlink(place, part_name(staging))
    else:
        _give_back(place, folders, staging, home, (ours,))
    _unlink(place, _note(staging))
    folders.changed(above(home))
    return is_expected


def settle(place: Place, folders: Folders, staging: str) -> None:
    """What lies in the staging area is ours, or what we had read: it goes. Else it is the owner's, and goes back."""
    noted = _noted(place, staging)
    if noted is not None and _is_there(place, part_name(staging)):
        home, known = noted
        if _sha256(place, staging) not in known:
            _give_back(place, folders, staging, home, known)
    _unlink(place, part_name(staging))
    _unlink(place, _note(staging))


def _give_back(place: Place, folders: Folders, staging: str, home: HomePath, ours: tuple[bytes, ...]) -> None:
    """The owner's file gets its name again. Where the owner has put yet another one there, both stay, this one beside it."""
    folder, name, part = folders.open(above(home), make=True), name_of(home), part_name(staging)
    folders.changed(above(home))
    try:
        exchange(place.staging, part, folder, name)
    except FileNotFoundError:
        _take_free(place, folders, staging, home)
        return
    if _sha256(place, staging) in ours:
        _unlink(place, part)
        return
    exchange(place.staging, part, folder, name)
    for beside in VersionNames(home, _sha256(place, staging)):
        if _take_free(place, folders, staging, beside):
            return


def _take_free(place: Place, folders: Folders, staging: str, home: HomePath) -> bool:
    try:
        rename_noreplace(place.level, place.staging, part_name(staging), folders.open(above(home)), name_of(home))
    except FileExistsError:
        return False
    return True


def _noted(place: Place, staging: str) -> tuple[HomePath, tuple[bytes, bytes]] | None:
    try:
        with closing(os.open(_note(staging), READ, dir_fd=place.staging)) as fd:
            told = os.read(fd, 1 << 14)
        return home_path(told[2 * _HASH_BYTES :]), (told[:_HASH_BYTES], told[_HASH_BYTES : 2 * _HASH_BYTES])
    except (FileNotFoundError, BadPath):
        return None


def _sha256(place: Place, staging: str) -> bytes:
    with closing(os.open(part_name(staging), READ, dir_fd=place.staging)) as fd:
        return sha256_of(fd)


def _note(staging: str) -> bytes:
    return staging.encode() + b".swap"


def _is_there(place: Place, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=place.staging, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _unlink(place: Place, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=place.staging)
