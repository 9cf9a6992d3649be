"""The folder that a local source reads, and one open file in it. Everything here blocks and runs in the source's threads.

Walking, looking and removing is the agent's own code (`agent.program`), run in this process: the same promises, kept by the same
lines. What a local source adds is that home may lie inside it: the destination is known by device and inode, and neither it nor
any `.forged` folder is ever entered, in no way, so that nothing at home is listed, brought home again, or removed.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from forged.model.errors import SourceError, SourceMissing
from forged.model.files import Problem, ProblemKind, Stat
from forged.model.paths import SourcePath, shown
from forged.model.places import Place
from forged.sources.agent.program.line import UNREADABLE, Stopped, Trouble
from forged.sources.agent.program.removal import remove_guarded
from forged.sources.agent.program.tree import Expected, Facts, Tree, facts, same_outside, trouble_of
from forged.sources.agent.wire import TROUBLES

OURS = b".forged"
"""Where a destination keeps its marker and its staging area (promise 11); nobody's media."""

READ_BYTES = 1 << 20
"""Read at once: each read gives the GIL away for long, and no fewer calls are worth the memory."""

HASH_HOP_BYTES = 16 << 20
"""Hashed in one visit of a thread: about 10 ms, so that others get their turn."""


class AtHome(Trouble):
    """The path leads into the destination."""

    def __init__(self) -> None:
        super().__init__(UNREADABLE, "it belongs to the destination")


class LocalTree(Tree):
    """The root folder, without what of it is home. `homes` are the destinations' folders; they need not exist yet.

    Raises SourceMissing when the root cannot be opened, and SourceError when it lies inside one of `homes`: what landed would be
    listed again, and a file and its copy at home might be one and the same.
    """

    def __init__(self, root: bytes, homes: Sequence[bytes]) -> None:
        self._homes = tuple(set(homes))
        self._identities: frozenset[tuple[int, int]] = frozenset()
        with self._told(root):
            super().__init__(root)
        self.close = weakref.finalize(self, os.close, self._fd)  # a thread that hangs keeps it open, and so out of other hands
        self._find_homes()

    def refresh(self) -> None:
        """Finds the root and the homes again. Raises as the constructor does."""
        with self._told(self._root):
            super().refresh()
        self._find_homes()

    def must_be_there(self) -> None:
        """Raises SourceMissing when the root's path leads to another folder by now."""
        with self._told(self._root):
            super().must_be_there()

    @contextmanager
    def _told(self, root: bytes) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceMissing(f"{shown(root)}: {error.strerror or error}") from error

    def _find_homes(self) -> None:
        self._identities = frozenset(filter(None, map(_identity, self._homes)))
        above = self.path
        while _identity(above) not in self._identities:
            if above == b"/":
                return
            above = os.path.dirname(above)
        raise SourceError(
            f"{shown(self._root)} lies inside the destination {shown(above)}",
            hint="choose a dest that holds no source: a folder beside the source, or one inside it",
        )

    def _is_home(self, fd: int) -> bool:
        if len(self._identities) < len(self._homes):  # one was not there: by now it may be
            self._identities = frozenset(filter(None, map(_identity, self._homes)))
        seen = os.fstat(fd)
        return (seen.st_dev, seen.st_ino) in self._identities

    def _step(self, fd: int, part: bytes, how: int) -> int:
        if part == OURS:
            raise AtHome
        deeper = super()._step(fd, part, how)
        if self._is_home(deeper):
            os.close(deeper)
            raise AtHome
        return deeper

    def leads_home(self, path: bytes) -> bool:
        """Whether a path, there or not, is one of home's."""
        try:
            with self.folder(path):
                return False
        except AtHome:
            return True
        except (Trouble, OSError):
            return False

    # --- steps of the source ----------------------------------------------------------------------------------------------

    def look_at(self, paths: Sequence[SourcePath]) -> list[Stat | Problem]:
        """How these files look now, in the order asked."""
        return [self._look_at(path) for path in paths]

    def _look_at(self, path: SourcePath) -> Stat | Problem:
        try:
            return stat_of(self.look(path))
        except (Trouble, OSError) as error:
            return problem_of(path, error if isinstance(error, Trouble) else trouble_of(error))

    def places_of(self, folders: Sequence[bytes]) -> list[Place | Problem]:
        """Where these folders really are, in the order asked."""
        return [self._place_of(folder) for folder in folders]

    def _place_of(self, folder: bytes) -> Place | Problem:
        try:
            device, inode, real = self.resolve(folder)
        except (Trouble, OSError) as error:
            return problem_of(folder, error if isinstance(error, Trouble) else trouble_of(error))
        return Place(real, (device, inode))

    def remove_if_empty(self, folder: SourcePath) -> bool:
        """Whether it was, and is gone now."""
        try:
            with self.folder(folder):
                pass  # it is none of home's, and no link
            self.remove_folder(folder)
        except (Trouble, OSError):
            return False
        return True


def _identity(path: bytes) -> tuple[int, int] | None:
    """Device and inode: the same for every way that leads there, links and bind mounts included."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


class Reading:
    """One open file below the root, used by one thread after the other. All of it raises Trouble, and Stopped once it is closed."""

    def __init__(self, tree: Tree, path: SourcePath) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(tree.opened(path))
        self._digest = hashlib.sha256()
        self._using = threading.Lock()
        self._closed = False
        self.at_bytes = 0

    def close(self) -> None:
        """Never under a thread that uses it: its descriptor might be another file's by then. That thread closes it."""
        self._closed = True
        self._close_if_free()

    def _close_if_free(self) -> None:
        if self._closed and self._using.acquire(blocking=False):
            try:
                self._stack.close()
            finally:
                self._using.release()

    @contextmanager
    def _used(self) -> Iterator[None]:
        try:
            with self._using:
                if self._closed:
                    raise Stopped
                yield
        except OSError as error:
            raise trouble_of(error) from error
        finally:
            self._close_if_free()

    @property
    def fd(self) -> int:
        return self._file.fd

    @property
    def before(self) -> Stat:
        """How it looked when it was opened."""
        return stat_of(facts(self._file.before))

    def must_be(self, expected: Stat) -> None:
        """Raises Trouble (CHANGED) when anything moved."""
        self._file.must_be(expected_of(expected))

    def is_as(self, expected: Stat) -> bool:
        """Nothing moved."""
        return self._file.is_as(expected_of(expected))

    def same_outside(self, expected: Stat) -> bool:
        """Neither size nor mtime moved."""
        return same_outside(facts(self._file.before), expected_of(expected))

    def skip_to(self, offset_bytes: int) -> None:
        """Goes on from there; what is left out is not hashed."""
        self.at_bytes = os.lseek(self._file.fd, offset_bytes, os.SEEK_SET)

    def read(self, most_bytes: int, hash: bool) -> bytes:
        """The next bytes, at least one. Trouble (CHANGED) where there are none left."""
        with self._used():
            data = self._file.read(most_bytes)
        self.at_bytes += len(data)
        if hash:
            self._digest.update(data)
        return data

    def digest_to(self, end_bytes: int) -> bool:
        """Hashes on towards `end_bytes`, as far as one hop goes; whether it got there."""
        stop = min(end_bytes, self.at_bytes + HASH_HOP_BYTES)
        while self.at_bytes < stop:
            self.read(min(READ_BYTES, stop - self.at_bytes), hash=True)
        return self.at_bytes == end_bytes

    @property
    def sha256(self) -> bytes:
        """Of what was hashed so far."""
        return self._digest.digest()

    def after(self) -> Stat:
        """The look after the last byte. Trouble (CHANGED) when another file has its name."""
        with self._used():
            return stat_of(self._file.after())

    def remove(self) -> None:
        """Removes it under guard, if it is still the file that was opened."""
        with self._used():
            remove_guarded(self._file.folder, self._file.name, self._file.before)


def stat_of(seen: Facts) -> Stat:
    return Stat(*seen)


def expected_of(stat: Stat) -> Expected:
    known = (stat.inode is not None) | (stat.ctime_ns is not None) << 1
    return known, stat.size_bytes, stat.mtime_ns, stat.inode or 0, stat.ctime_ns or 0


def problem_of(path: bytes, trouble: Trouble) -> Problem:
    return Problem(path, TROUBLES[trouble.kind] or ProblemKind.UNREADABLE, str(trouble))
