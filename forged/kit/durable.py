"""Durable files: fsync, renaming without overwriting, small files written whole, and walking folders without following links.

Everything works on open folders (`dir_fd`) and names as bytes, so that no path is resolved twice and no link is followed on the
way. Functions raise OSError as the system gives it; who calls translates.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import errno
import os
import secrets
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened on a walk: a link in the way is ENOTDIR (open(2): O_NOFOLLOW with O_DIRECTORY), never followed."""

NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a file is made: only if its name was free."""

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file of unknown making is opened: a link is ELOOP, and a FIFO under its name does not hang us (O_NONBLOCK)."""

MOST_LEVELS = 8
"""Folders on the way to one that `Folders` holds open: more than most trees are deep, and no source can make it hold hundreds."""

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
"""Both of linux/fs.h, since Linux 3.15."""


class NoReplace(enum.Enum):
    """How well a folder can refuse to overwrite; shown in `status`."""

    RENAMEAT2 = "renameat2"  # one atomic step
    LINK = "link"  # link, then unlink: atomic too, but a crash leaves a second name
    PLACEHOLDER = "placeholder"  # an exclusive empty file is renamed over: safe against forged, not against others


_TROUBLE = frozenset(
    {
        errno.EIO,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ESTALE,
        errno.ENODEV,
        errno.ENXIO,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.ENOENT,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
    }
)
"""Answers of a disk that is failing, full, closed or gone; what it could do when it is well, they do not tell."""


# --- renaming without overwriting -----------------------------------------------------------------------------------------


def _find_renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """The C library's renameat2: glibc from 2.28 on, musl from 1.2.4 on, for every CPU; None where there is none.

    Without `argtypes`: ctypes hands over int and bytes as int and char *, which is what it takes, and spares 0.5 of 3 us a call.
    """
    found: Callable[[int, bytes, int, bytes, int], int] | None = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return found


_RENAMEAT2 = _find_renameat2()


def _renameat2(from_folder: int, name: bytes, to_folder: int, new_name: bytes, flags: int = RENAME_NOREPLACE) -> None:
    if _RENAMEAT2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _RENAMEAT2(from_folder, name, to_folder, new_name, flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new_name)


def _link(from_folder: int, name: bytes, to_folder: int, new_name: bytes) -> None:
    os.link(name, new_name, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)
    os.unlink(name, dir_fd=from_folder)


def _placeholder(from_folder: int, name: bytes, to_folder: int, new_name: bytes) -> None:
    os.close(os.open(new_name, NEW_FILE, 0o600, dir_fd=to_folder))
    try:
        os.rename(name, new_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)
    except OSError:
        os.unlink(new_name, dir_fd=to_folder)
        raise


def rename_noreplace(level: NoReplace, from_folder: int, name: bytes, to_folder: int, new_name: bytes) -> None:
    """Gives a file a new name, if that name is free; FileExistsError otherwise.

    `level` is what `probe` found. With PLACEHOLDER a crash in between leaves an empty file under the new name: who uses it
    must find that again. Raises OSError (EXDEV: the folders lie on different mounts).
    """
    if level is NoReplace.RENAMEAT2:
        _renameat2(from_folder, name, to_folder, new_name)
    elif level is NoReplace.LINK:
        _link(from_folder, name, to_folder, new_name)
    else:
        _placeholder(from_folder, name, to_folder, new_name)


def exchange(one_folder: int, name: bytes, other_folder: int, other_name: bytes) -> bool:
    """Two files take each other's names, in one step; whether that can be done here.

    Raises OSError (EXDEV: the folders lie on different mounts; ENOENT: one of them is not there).
    """
    try:
        _renameat2(one_folder, name, other_folder, other_name, RENAME_EXCHANGE)
    except OSError as e:
        if e.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            return False
        raise
    return True


def probe(folder: int) -> NoReplace:
    """The best level that this folder really keeps, tried out with two small files. Raises OSError when it cannot be written to.

    One of them gets a byte and is made durable: a failing disk may take names and no bytes. A file system may not know the flag
    (EINVAL: NFS, older FUSE), have no links (EPERM: FAT), or claim to do what it does not.
    """
    token = secrets.token_hex(8).encode()
    ours, taken, free = (b"probe-" + token + b"-" + part for part in (b"ours", b"taken", b"free"))
    try:
        for name in (ours, taken):
            os.close(os.open(name, NEW_FILE, 0o600, dir_fd=folder))
        _write_a_byte(folder, ours)
        return next(level for level in NoReplace if _keeps(level, folder, ours, taken, free))
    finally:
        for name in (ours, taken, free):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)


def _write_a_byte(folder: int, name: bytes) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        write_all(fd, b"\0", 0)
        os.fsync(fd)
    finally:
        os.close(fd)


def _keeps(level: NoReplace, folder: int, ours: bytes, taken: bytes, free: bytes) -> bool:
    """Whether it refuses a name that is taken, and takes one that is free. Raises OSError as `probe` does."""
    try:
        rename_noreplace(level, folder, ours, folder, taken)
        os.close(os.open(ours, NEW_FILE, 0o600, dir_fd=folder))  # it overwrote: put things back for the next level
        return False
    except FileExistsError:
        pass  # as it should
    except OSError as e:
        return _merely_unknown(e, level)
    try:
        rename_noreplace(level, folder, ours, folder, free)
    except OSError as e:
        return _merely_unknown(e, level)
    return True


def _merely_unknown(error: OSError, level: NoReplace) -> bool:
    """False: the file system cannot do this, and the next level is tried. Raises what tells of a disk in trouble instead: taken for
    a lack of skill it would have forged land by a weaker level from then on. The last level is everywhere, so there is no other."""
    if error.errno in _TROUBLE or level is NoReplace.PLACEHOLDER:
        raise error
    return False


# --- durable folders and small files --------------------------------------------------------------------------------------


def fsync_folder(folder: int) -> None:
    """Makes the names in a folder durable. CIFS and some FUSE file systems know no fsync of folders (EINVAL): so be it.

    XFS that has shut itself down over a failing device forgets names that wait for its log, and still says that all went well
    (Linux 6.18, xfs_dir_fsync); opening anything there fails then, so the folder is opened once more.
    """
    try:
        os.fsync(folder)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    os.close(os.open(b".", FOLDER, dir_fd=folder))


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Writes all of `data` at `offset`; a short write (signal, nearly full disk) goes on with the rest."""
    done = os.pwrite(fd, data, offset)
    view = memoryview(data)
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)


def write_chunks(fd: int, chunks: Sequence[bytes | memoryview], offset: int) -> None:
    """Writes chunks, at most 1,024 of them (IOV_MAX), behind each other at `offset`, in one call if the system takes it all."""
    done = os.pwritev(fd, chunks, offset) if chunks else 0
    if done < sum(map(len, chunks)):
        write_all(fd, memoryview(b"".join(chunks))[done:], offset + done)


def begin_writing(fd: int, start: int, end: int) -> None:
    """Asks the kernel to write these bytes of an open file to the disk, and does not wait: a later fsync has little left to do.

    Linux starts writing a range that it is told nobody needs any more (mm/fadvise.c); what it has written already, it forgets.
    """
    if end > start:
        os.posix_fadvise(fd, start, end - start, os.POSIX_FADV_DONTNEED)


def write_durably(folder: int, name: bytes, data: bytes) -> None:
    """A small file, whole or not there at all, durable on return. What had that name is replaced.

    A crash may leave `<name>-<16 hex>.tmp` beside it.
    """
    temporary = name + b"-" + secrets.token_hex(8).encode() + b".tmp"
    fd = os.open(temporary, NEW_FILE, 0o644, dir_fd=folder)
    try:
        write_all(fd, data, 0)
        os.fsync(fd)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(fd)
    fsync_folder(folder)


class Folders:
    """Folders below a root, reached one component at a time without following links.

    Holds the last folder asked for open, and the nearest of those above it: files come sorted, so the next is mostly in the same
    or close by. Remembers which folders have new names in them; `sync` makes all of those durable at once. Used in one thread, and
    closed by `with`.
    """

    def __init__(self, root: int, mode: int = 0o755, gid: int = -1, forbidden: int | None = None) -> None:
        """`mode` and `gid` (-1: as it comes) are for folders made on the way; `forbidden` is an open folder never to be entered."""
        self._mode, self._gid = mode, gid
        self._forbidden = os.fstat(forbidden) if forbidden is not None else None
        self._trail: list[tuple[bytes, int]] = [(b"", root)]
        self._changed: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while len(self._trail) > 1:
            os.close(self._trail.pop()[1])

    def open(self, path: bytes, make: bool = False) -> int:
        """The folder `path` (relative, normal; b"" is the root), open until the next call. `make` makes what is missing.

        Raises NotADirectoryError where a file, a link or the forbidden folder is in the way, FileNotFoundError where nothing is
        (without `make`), and OSError.
        """
        here, fd = self._trail[-1]
        if path == here:
            return fd
        here, fd = self._back_to_above(path)
        rest = path[len(here) + 1 if here else 0 :]
        for name in rest.split(b"/") if rest else ():
            inner = self._step(fd, here, name, make)
            here, fd = (here + b"/" + name if here else name), inner
            self._trail.append((here, fd))
            if len(self._trail) > MOST_LEVELS:
                os.close(self._trail.pop(1)[1])
        return fd

    def changed(self, path: bytes) -> None:
        """A name in this folder is new."""
        self._changed.add(path)

    def sync(self) -> None:
        """Makes all new names durable, those of new folders included."""
        for path in sorted(self._changed):
            fsync_folder(self.open(path))
        self._changed.clear()

    def _back_to_above(self, path: bytes) -> tuple[bytes, int]:
        """Closes what does not lead to `path`; the deepest folder left that does."""
        while (above := self._trail[-1][0]) and path != above and not path.startswith(above + b"/"):
            os.close(self._trail.pop()[1])
        return self._trail[-1]

    def _step(self, fd: int, path: bytes, name: bytes, make: bool) -> int:
        """From the open folder `fd` at `path` into `name`."""
        try:
            return self._enter(fd, path, name)
        except FileNotFoundError:
            if not make:
                raise
        return self._make(fd, path, name)

    def _enter(self, fd: int, path: bytes, name: bytes) -> int:
        inner = os.open(name, FOLDER, dir_fd=fd)
        if not path and self._forbidden is not None and os.path.samestat(os.fstat(inner), self._forbidden):
            os.close(inner)  # compared by identity: on some file systems .FORGED is .forged
            raise NotADirectoryError(errno.ENOTDIR, "a reserved folder", name)
        return inner

    def _make(self, fd: int, path: bytes, name: bytes) -> int:
        self._changed.add(path)
        try:
            os.mkdir(name, self._mode, dir_fd=fd)
        except FileExistsError:
            return self._enter(fd, path, name)  # another thread was quicker
        inner = self._enter(fd, path, name)
        with contextlib.suppress(OSError):  # file systems without modes or groups say EPERM or EINVAL; the folder matters more
            os.fchmod(inner, self._mode)  # the umask has taken from mkdir's
            os.fchown(inner, -1, self._gid)
        return inner
