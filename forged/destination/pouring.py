"""One staged file while its bytes come in: written, hashed on the way, closed when whole.

    <staging>.part    the bytes
    <staging>.ahead   only while there is a hole in them: where the hole begins, 20 digits

Pieces may come in any order. The hash follows the unbroken beginning; what was written ahead of it is read back when the hole
closes. The note about the hole is written before the bytes beyond it and moves on after the bytes before it, so after a SIGKILL
min(note, size) is never more than the beginning. Everything here blocks and runs in the one writing thread of a destination.
"""

from __future__ import annotations

import contextlib
import hashlib
import os

from forged.destination.hashing import feed
from forged.kit.clone import clone_file, copy_range
from forged.kit.durable import write_all
from forged.model.errors import DestinationError, SourceBroken
from forged.model.transfer import Piece, Request

WRITEBACK_BYTES = 8 << 20
"""After so many bytes the kernel is asked to begin writing, so that the fsync of a large file has little left to wait for."""

_PART = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o600


def part_name(staging: str) -> bytes:
    """The file that holds the bytes."""
    if "/" in staging:
        raise ValueError("a staging name is one name")
    return staging.encode() + b".part"


def ahead_name(staging: str) -> bytes:
    """The note about a hole."""
    return staging.encode() + b".ahead"


def beginning_bytes(folder: int, staging: str) -> int:
    """How long the unbroken beginning of a staged file is: its size, or where its first hole begins."""
    try:
        seen = os.stat(part_name(staging), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return 0
    size_bytes = seen.st_size if seen.st_nlink == 1 else 0  # see _open_private
    try:
        fd = os.open(ahead_name(staging), os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return size_bytes
    try:
        note = os.read(fd, 20)
    finally:
        os.close(fd)
    return min(size_bytes, int(note)) if note.isdigit() else 0


def _open_private(folder: int, staging: str) -> int:
    """The staged file, made if need be, and surely no other name of a file at home.

    Where landing is link and unlink, a crash in between leaves both names to one file: writing here would change it there.
    """
    fd = os.open(part_name(staging), _PART, _MODE, dir_fd=folder)
    if os.fstat(fd).st_nlink > 1:
        os.close(fd)
        os.unlink(part_name(staging), dir_fd=folder)
        fd = os.open(part_name(staging), _PART, _MODE, dir_fd=folder)
    return fd


class Pouring:
    """One file on its way in."""

    def __init__(self, folder: int, request: Request) -> None:
        """Opens the staged file: afresh, or behind the `request.offset_bytes` already there, which are read back and hashed.

        Raises DestinationError when fewer are there (someone cleared the staging area): the next round starts from what is.
        """
        self.request = request
        self._hash = hashlib.sha256()
        self._begun = 0
        self._ahead: dict[int, int] = {}
        self._noted: int | None = None
        self._end: int | None = None
        self._written_back = request.offset_bytes
        self._drawn = 0
        self.fd: int | None = _open_private(folder, request.staging)
        try:
            self._begin(folder, self.fd)
        except BaseException:
            self.close()
            raise

    def _begin(self, folder: int, fd: int) -> None:
        wanted, there = self.request.offset_bytes, os.fstat(fd).st_size
        if wanted:
            self._begun = feed(self._hash, fd, 0, wanted)
            if self._begun < wanted:
                raise DestinationError(f"only {self._begun} of {wanted} staged bytes are left; the next round starts there")
        if there > wanted:
            os.ftruncate(fd, wanted)
        if there:
            self._forget_hole(folder)

    @property
    def whole(self) -> bool:
        """The last piece was seen, and every byte before it."""
        return self._begun == self._end

    @property
    def size_bytes(self) -> int:
        """How much of the beginning is there."""
        return self._begun

    @property
    def sha256(self) -> bytes:
        """Of the beginning; of everything, once it is whole."""
        return self._hash.digest()

    def restarts(self, piece: Piece) -> bool:
        """Whether this piece is the first of another attempt at the same file; that may be any piece of it."""
        again = piece.offset_bytes == piece.request.offset_bytes and self._begun > piece.offset_bytes
        return again or piece.request is not self.request

    def add(self, folder: int, piece: Piece) -> None:
        """Writes one piece. Raises SourceBroken when it overlaps what is there or lies behind the end, and OSError."""
        offset = piece.offset_bytes
        data = piece.data[0] if len(piece.data) == 1 else b"".join(piece.data)
        end = offset + len(data)
        if offset < self._begun or offset in self._ahead or (self._end is not None and end > self._end):
            raise SourceBroken("the source sent bytes of a file twice, or after its end")
        fd = self.opened(folder)
        if offset > self._begun:
            self._note_hole(folder)
            write_all(fd, data, offset)
            self._ahead[offset] = end
        else:
            if data:
                write_all(fd, data, offset)
                self._hash.update(data)
            self._begun = end
            if self._ahead:
                self._close_gap(folder, fd)
        if piece.last:
            self._end = end
        self._write_back(fd)

    def draw(self, folder: int, source: int, most_bytes: int) -> bool:
        """Takes the next bytes from another open file by the file system's own means, and reads them back for the hash.

        False when that cannot be done, or the file is shorter than it was. Instead of pieces, not between them. Raises OSError.
        """
        fd, size_bytes = self.opened(folder), self.request.entry.stat.size_bytes
        end = min(self._begun + most_bytes, size_bytes)
        if self._drawn == 0 and clone_file(source, fd):
            self._drawn = min(os.fstat(fd).st_size, size_bytes)
            os.ftruncate(fd, self._drawn)  # it may have grown since it was listed
        if self._drawn < end:
            self._drawn = copy_range(source, fd, self._drawn, end) or 0
        self._begun = feed(self._hash, fd, self._begun, min(end, self._drawn))
        if self._begun == size_bytes:
            self._end = size_bytes
        self._write_back(fd)
        return self._begun == end

    def _close_gap(self, folder: int, fd: int) -> None:
        """The beginning may have reached what was written ahead."""
        while self._begun in self._ahead:
            end = self._ahead.pop(self._begun)
            if feed(self._hash, fd, self._begun, end) < end:
                raise DestinationError("a staged file was cut short while it was written")
            self._begun = end
        if self._ahead and min(self._ahead) < self._begun:
            raise SourceBroken("the source sent bytes of a file twice")
        if self._ahead:
            self._note_hole(folder)
        else:
            self._forget_hole(folder)

    def _note_hole(self, folder: int) -> None:
        if self._noted == self._begun:
            return
        fd = os.open(ahead_name(self.request.staging), _PART, _MODE, dir_fd=folder)
        try:
            write_all(fd, b"%020d" % self._begun, 0)  # one write of fixed length: never half a number
        finally:
            os.close(fd)
        self._noted = self._begun

    def _forget_hole(self, folder: int) -> None:
        self._noted = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ahead_name(self.request.staging), dir_fd=folder)

    def _write_back(self, fd: int) -> None:
        """Linux starts writing a range that it is told nobody needs any more (mm/fadvise.c); there is no need to wait for it."""
        if self._begun - self._written_back >= WRITEBACK_BYTES:
            os.posix_fadvise(fd, self._written_back, self._begun - self._written_back, os.POSIX_FADV_DONTNEED)
            self._written_back = self._begun

    def opened(self, folder: int) -> int:
        """The descriptor; opened again where it was closed to save descriptors."""
        if self.fd is None:
            self.fd = os.open(part_name(self.request.staging), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        return self.fd

    def close(self) -> None:
        """Lets go of the file; `add` opens it again."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
