"""One staged file while its bytes come in: written, hashed on the way, closed when whole.

    <staging>.part    the bytes
    <staging>.ahead   only while there is a hole in them: where the hole begins, 20 digits

Pieces may come in any order. The hash follows the unbroken beginning; what was written ahead of it is read back, step by step, when
the hole closes. The note about the hole is written before the bytes beyond it and moves on after the bytes before it, now and then,
so after a SIGKILL min(note, size) is never more than the beginning. Everything here blocks and runs in the one writing thread of a
desk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os

from forged.destination.ahead import Ahead
from forged.destination.hashing import feed
from forged.destination.plain import Chunk
from forged.kit.clone import clone_file, copy_range
from forged.kit.durable import begin_writing, write_all, write_chunks
from forged.model.errors import DestinationError, SourceBroken

WRITEBACK_BYTES = 8 << 20
"""After so many bytes the kernel is asked to begin writing, so that the fsync of a large file has little left to wait for."""

MOST_CHUNKS = 8
"""Of a piece that are hashed one by one. Joining them is a copy: 5% of what writing and hashing cost."""

NOTE_EVERY_BYTES = 16 << 20
"""How far the beginning grows before the note about the hole behind it moves on: what a SIGKILL makes us ask for again at most."""

_PART = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVATE_MODE = 0o600
"""Until it is whole."""


def part_name(staging: str) -> bytes:
    """The file that holds the bytes."""
    if "/" in staging:
        raise ValueError("a staging name is one name")
    return staging.encode() + b".part"


def ahead_name(staging: str) -> bytes:
    """The note about a hole."""
    return staging.encode() + b".ahead"


def few_chunks(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The bytes as they came, in one where they are many: each update of the hash gives the GIL away and may wait for it."""
    return chunks if len(chunks) <= MOST_CHUNKS else (b"".join(chunks),)


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
    fd = os.open(part_name(staging), _PART, PRIVATE_MODE, dir_fd=folder)
    if os.fstat(fd).st_nlink > 1:
        os.close(fd)
        os.unlink(part_name(staging), dir_fd=folder)
        fd = os.open(part_name(staging), _PART, PRIVATE_MODE, dir_fd=folder)
    return fd


class Pouring:
    """One file on its way in."""

    def __init__(self, folder: int, staging: str, attempt: int, resume_bytes: int) -> None:
        """Opens the staged file: afresh, or behind the `resume_bytes` already there, which are read back and hashed.

        Raises DestinationError when fewer are there (someone cleared the staging area): the next round starts from what is.
        """
        self.staging, self.attempt = staging, attempt
        self._resume_bytes = resume_bytes
        self._hash = hashlib.sha256()
        self._begun = 0
        self._ahead = Ahead()
        self._noted: int | None = None
        self._end: int | None = None
        self._written_back = resume_bytes
        self._drawn = 0
        self.fd: int | None = _open_private(folder, staging)
        try:
            self._begin(folder, self.fd)
        except BaseException:
            self.close()
            raise

    def _begin(self, folder: int, fd: int) -> None:
        wanted, there = self._resume_bytes, os.fstat(fd).st_size
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

    def restarts(self, attempt: int, offset: int) -> bool:
        """Whether bytes at this offset are the first of another attempt at the same file; those may be any of it."""
        return attempt != self.attempt or (offset == self._resume_bytes and self._begun > offset)

    def add(self, folder: int, offset: int, chunks: tuple[Chunk, ...], last: bool) -> None:
        """Writes bytes. Raises SourceBroken when they overlap what is there or lie behind the end, and OSError."""
        end = offset + sum(map(len, chunks))
        self._check(offset, end, last)
        if last:
            self._end = end
        if end == offset:
            return
        fd = self.opened(folder)
        if offset > self._begun:
            self._note_hole(folder)
            write_chunks(fd, chunks, offset)
            self._ahead.add(offset, end)
        else:
            write_chunks(fd, chunks, offset)
            for chunk in chunks:
                self._hash.update(chunk)
            self._go_on(folder, fd, end)

    def _check(self, offset: int, end: int, last: bool) -> None:
        twice = offset < self._begun or (end > offset and not self._ahead.is_free(offset, end))
        if twice or (self._end is not None and end > self._end) or (last and end < self._ahead.end):
            raise SourceBroken("the source sent bytes of a file twice, or after its end")

    @property
    def lags(self) -> bool:
        """The beginning has reached what was written ahead: that is still to be hashed."""
        return bool(self._ahead) and self._ahead.first == self._begun

    def catch_up(self, folder: int, most_bytes: int) -> int:
        """Reads back and hashes the next bytes of what was written ahead; answers how many. Only while it `lags`.

        Raises DestinationError and OSError.
        """
        begun, fd, end = self._begun, self.opened(folder), self._ahead.take(most_bytes)
        if feed(self._hash, fd, self._begun, end) < end:
            raise DestinationError("a staged file was cut short while it was written")
        self._go_on(folder, fd, end)
        return end - begun

    def _go_on(self, folder: int, fd: int, begun: int) -> None:
        """So much of it is there and hashed."""
        self._begun = begun
        if self._ahead:
            self._note_hole(folder)
        elif self._noted is not None:
            self._forget_hole(folder)
        if begun - self._written_back >= WRITEBACK_BYTES:
            self.write_back(fd)

    def draw(self, folder: int, source: int, size_bytes: int, most_bytes: int) -> bool:
        """Takes the next bytes from another open file, of which `size_bytes` are wanted in all, by the file system's own means, and
        reads them back for the hash.

        False when that cannot be done, or the file is shorter than it was. Instead of pieces, not between them. Raises OSError.
        """
        fd = self.opened(folder)
        end = min(self._begun + most_bytes, size_bytes)
        if self._drawn == 0 and clone_file(source, fd):
            self._drawn = min(os.fstat(fd).st_size, size_bytes)
            os.ftruncate(fd, self._drawn)  # it may have grown since it was listed
        if self._drawn < end:
            self._drawn = copy_range(source, fd, self._drawn, end) or 0
        self._begun = feed(self._hash, fd, self._begun, min(end, self._drawn))
        if self._begun == size_bytes:
            self._end = size_bytes
        if self._begun - self._written_back >= WRITEBACK_BYTES:
            self.write_back(fd)
        return self._begun == end

    def _note_hole(self, folder: int, every_bytes: int = NOTE_EVERY_BYTES) -> None:
        if self._noted is not None and self._begun - self._noted < every_bytes:
            return
        fd = os.open(ahead_name(self.staging), _PART, PRIVATE_MODE, dir_fd=folder)
        try:
            write_all(fd, b"%020d" % self._begun, 0)  # one write of fixed length: never half a number
        finally:
            os.close(fd)
        self._noted = self._begun

    def _forget_hole(self, folder: int) -> None:
        self._noted = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ahead_name(self.staging), dir_fd=folder)

    def write_back(self, fd: int) -> None:
        """What is hashed may go to the disk."""
        begin_writing(fd, self._written_back, self._begun)
        self._written_back = self._begun

    def opened(self, folder: int) -> int:
        """The descriptor; opened again where it was closed to save descriptors."""
        if self.fd is None:
            self.fd = os.open(part_name(self.staging), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        return self.fd

    def close(self, folder: int | None = None) -> None:
        """Lets go of the file; `add` opens it again. With its folder, the note about a hole says all that is there."""
        if folder is not None and self._noted is not None:
            with contextlib.suppress(OSError):  # an older note is no lie
                self._note_hole(folder, every_bytes=1)
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
