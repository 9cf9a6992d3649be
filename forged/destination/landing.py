"""How staged files get their final names: dressed, made durable, renamed without overwriting, and their folders made durable.

The order over a batch is the promise: all files are on disk before the first gets its name, and all names before the first is
answered. One journal commit of the file system then serves many files. Everything here blocks and runs in a destination's threads;
several batches at once are safe, because taking a name is one atomic step.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain

from forged.destination.base import Closed, HomeLook, Landing
from forged.destination.carrying import carry_across, rename_claimed
from forged.destination.hashing import sha256_of
from forged.destination.pouring import part_name
from forged.destination.root import Place, Root
from forged.destination.trouble import spares
from forged.kit.durable import READ, Folders, NoReplace, rename_noreplace
from forged.model.files import Problem, ProblemKind
from forged.model.paths import HomePath, shown
from forged.model.target import HomePolicy
from forged.model.transfer import Landed, LandedAs


class Landings:
    """Lands, looks at and hashes files of one destination."""

    def __init__(self, root: Root, policy: HomePolicy) -> None:
        self._root, self._policy = root, policy

    def land(self, batch: Sequence[Landing]) -> list[Landed | Problem]:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            here = [self._dress(place, landing) for landing in batch]
            for landing, is_here in zip(batch, here, strict=True):
                if is_here:
                    _make_durable(place, landing)
            steps = [_Step(place, folders, landing, is_here) for landing, is_here in zip(batch, here, strict=True)]
            answers = [step.answer() for step in steps]
            folders.sync()
            return answers

    def _dress(self, place: Place, landing: Landing) -> bool:
        """Gives a staged file its mtime, mode and group; False when it is not there (any more)."""
        name, mtime_ns = part_name(landing.receipt.staged.staging), landing.receipt.entry.stat.mtime_ns
        try:
            seen = os.stat(name, dir_fd=place.staging, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if seen.st_size != landing.receipt.staged.size_bytes:
            return False  # another attempt has begun in its place
        with contextlib.suppress(OverflowError):  # a time that no file system can hold: the file matters more
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=place.staging, follow_symlinks=False)
        with contextlib.suppress(PermissionError):  # FAT and some shares keep no modes; `ready` has tried the group
            os.chmod(name, self._policy.file_mode, dir_fd=place.staging)
            if self._root.gid != -1:
                os.chown(name, -1, self._root.gid, dir_fd=place.staging, follow_symlinks=False)
        return True

    def look(self, homes: Sequence[HomePath]) -> list[HomeLook | Closed | None]:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            return [_look(folders, home) for home in homes]

    def hash(self, home: HomePath) -> bytes | None:
        """As the contract says."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            try:
                fd = _open_regular(folders, home)
            except (FileNotFoundError, PermissionError):
                return None
            with _closing(fd):
                return sha256_of(fd)

    def confirm(self, batch: Sequence[HomePath]) -> None:
        """As the contract says. What has gone meanwhile is no concern of it; the next look at home sees that."""
        with self._root.enter() as place, self._root.folders(place) as folders:
            for home in batch:
                with contextlib.suppress(FileNotFoundError):
                    with _closing(_open_regular(folders, home)) as fd:
                        os.fsync(fd)
                    folders.changed(_above(home))
            folders.sync()


class _Step:
    """One file on its way to a final name."""

    def __init__(self, place: Place, folders: Folders, landing: Landing, is_here: bool) -> None:
        self._place, self._folders, self._landing, self._is_here = place, folders, landing, is_here
        self._staged = landing.receipt.staged

    def answer(self) -> Landed | Problem:
        """Tries its names in turn. Raises OSError when the place as a whole is in trouble."""
        landing, receipt = self._landing, self._landing.receipt
        try:
            for home in chain((landing.home,), landing.versions):
                how = self._try(home)
                if how is not None:
                    return Landed(receipt.entry, home, self._staged.sha256, how, receipt.incomplete)
        except OSError as e:
            if not spares(e):
                raise
            return self._problem(f"cannot land as {shown(home)}: {_IN_THE_WAY if e.errno == errno.ENOTDIR else e.strerror}")
        return self._problem(f"every name for {shown(landing.home)} is taken" if self._is_here else "its staged bytes are gone")

    def _try(self, home: HomePath) -> LandedAs | None:
        """Takes this name, or adopts what is there; None when it is other content's (or when there is nothing to land)."""
        if self._is_here and self._take(home):
            self._folders.changed(_above(home))
            return LandedAs.NEW if home == self._landing.home else LandedAs.VERSION
        try:
            fd = _open_regular(self._folders, home)
        except (FileNotFoundError, PermissionError):
            return None
        with _closing(fd):
            return self._compare(home, fd)

    def _take(self, home: HomePath) -> bool:
        folder, name = self._folders.open(_above(home), make=True), _name(home)
        part, level = part_name(self._staged.staging), self._place.level
        try:
            if level is NoReplace.PLACEHOLDER and self._staged.size_bytes:
                rename_claimed(self._place, self._folders, self._staged.staging, home)
            else:  # an empty file needs no claim: its placeholder is as good as itself
                rename_noreplace(level, self._place.staging, part, folder, name)
        except FileExistsError:
            return False
        except OSError as e:
            if e.errno != errno.EXDEV:
                raise
            return carry_across(self._place, self._folders, self._staged, home)
        return True

    def _compare(self, home: HomePath, fd: int) -> LandedAs | None:
        """What is there may be equal, or what `mutable` may replace."""
        seen, replaces = os.fstat(fd), self._landing.replaces_sha256
        may_replace = self._is_here and replaces is not None and home == self._landing.home
        if seen.st_size != self._staged.size_bytes and not may_replace:
            return None
        sha256 = sha256_of(fd)
        if sha256 == self._staged.sha256 and seen.st_size == self._staged.size_bytes:
            return self._adopt(home, fd)
        if may_replace and sha256 == replaces:
            return self._replace(home, seen)
        return None

    def _adopt(self, home: HomePath, fd: int) -> LandedAs:
        os.fsync(fd)
        self._folders.changed(_above(home))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part_name(self._staged.staging), dir_fd=self._place.staging)
        return LandedAs.ADOPTED

    def _replace(self, home: HomePath, seen: os.stat_result) -> LandedAs | None:
        """In one step, and only if nobody has touched it since it was hashed."""
        folder, name = self._folders.open(_above(home)), _name(home)
        if _touch(os.stat(name, dir_fd=folder, follow_symlinks=False)) != _touch(seen):
            return None
        try:
            os.rename(part_name(self._staged.staging), name, src_dir_fd=self._place.staging, dst_dir_fd=folder)
        except OSError as e:
            if e.errno != errno.EXDEV:
                raise
            carry_across(self._place, self._folders, self._staged, home, replace=True)
        self._folders.changed(_above(home))
        return LandedAs.REPLACED

    def _problem(self, message: str) -> Problem:
        return Problem(self._landing.receipt.entry.path, ProblemKind.HOME, message)


def _make_durable(place: Place, landing: Landing) -> None:
    """fsync of the staged file. After a failed one its pages may be gone though a second fsync would succeed (fsync(2), Notes on
    errors): the staged file is dropped, so that it is brought again."""
    name = part_name(landing.receipt.staged.staging)
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.staging)
    with _closing(fd):
        try:
            os.fsync(fd)
        except OSError:
            os.unlink(name, dir_fd=place.staging)
            raise


_IN_THE_WAY = "a file or a link lies where its folder belongs; move it away"
"""What ENOTDIR means to whoever can do something about it."""

_NOTHING_THERE = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR, errno.EINVAL, errno.EILSEQ})
"""What a name answers that is no regular file of ours: a link, a socket, a name that this file system cannot even hold."""


def _open_regular(folders: Folders, home: HomePath) -> int:
    """Opens a regular file for reading; FileNotFoundError for anything else. Other OSErrors: nobody knows what is there."""
    try:
        fd = os.open(_name(home), READ, dir_fd=folders.open(_above(home)))
    except OSError as e:
        if e.errno in _NOTHING_THERE:
            raise FileNotFoundError(errno.ENOENT, "no regular file", home) from e
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "no regular file", home)
    return fd


def _look(folders: Folders, home: HomePath) -> HomeLook | Closed | None:
    try:
        seen = os.stat(_name(home), dir_fd=folders.open(_above(home)), follow_symlinks=False)
    except FileNotFoundError:
        return None
    except PermissionError:
        return Closed.CLOSED
    except OSError as e:
        if e.errno in _NOTHING_THERE:
            return None
        raise
    return HomeLook(seen.st_size, seen.st_mtime_ns) if stat.S_ISREG(seen.st_mode) else None


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _touch(seen: os.stat_result) -> tuple[int, int, int, int]:
    """What changes when somebody writes to a file, or puts another in its place."""
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _above(home: HomePath) -> bytes:
    return home.rpartition(b"/")[0]


def _name(home: HomePath) -> bytes:
    return home.rpartition(b"/")[2]
