"""What the tests of destinations share: files to pour, folders to land in, and small file systems to break."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest

from forged.destination.base import Destination, Landing
from forged.destination.desk import Desk
from forged.destination.hands import Threads
from forged.destination.posix import PosixDestination
from forged.destination.staging import Inspect
from forged.kit.budget import Budget, Room, Unbounded
from forged.model.files import Entry, Stat
from forged.model.paths import HomePath, home_path, source_path
from forged.model.target import HomePolicy
from forged.model.transfer import Piece, Receipt, Request, Staged, Wholeness

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems: needs root")

MTIME_NS = 1_600_000_000_123_456_789


def request(path: bytes, data: bytes, offset_bytes: int = 0, mtime_ns: int = MTIME_NS) -> Request:
    """A request for `data` under `path`; its staging name follows from both, as the real one does."""
    staging = hashlib.sha256(path + b"\0" + data).hexdigest()[:32]
    return Request(Entry(source_path(path), Stat(len(data), mtime_ns)), staging, offset_bytes)


def pieces(wanted: Request, data: bytes, size: int = 1 << 20) -> list[Piece]:
    """`data` from the request's offset on, cut into pieces of `size`."""
    starts = range(wanted.offset_bytes, len(data), size) or [wanted.offset_bytes]
    return [Piece(wanted, start, (data[start : start + size],), start + size >= len(data)) for start in starts]


async def pour(destination: Destination, *files: tuple[bytes, bytes]) -> list[Receipt]:
    """Stages (path, data) pairs, all in one write."""
    requests = [request(path, data) for path, data in files]
    async with aclosing(destination.sink()) as sink:
        await sink.reserve(sum(len(data) for _, data in files))
        batch = [piece for wanted, (_, data) in zip(requests, files, strict=True) for piece in pieces(wanted, data)]
        staged = await sink.write(batch)
    return [Receipt(wanted.entry, done) for wanted, done in zip(requests, staged, strict=True)]


def landing(receipt: Receipt, home: bytes | None = None, replaces: bytes | None = None) -> Landing:
    """Where a receipt should land: under its own path unless said otherwise."""
    wanted = home_path(home or receipt.entry.path)
    return Landing(receipt, wanted, replaces)


def versions(home: HomePath, sha256: bytes) -> tuple[HomePath, ...]:
    """Names beside `home`, cut where they would be too long."""
    folder, name = os.path.split(home)
    stem, ext = os.path.splitext(name)
    tails = [b"~" + sha256.hex()[:digits].encode() + ext for digits in (8, 16, 64)]
    return tuple(home_path(os.path.join(folder, stem[: 255 - len(tail)] + tail)) for tail in tails)


def staged(wanted: Request, data: bytes, wholeness: Wholeness = Wholeness.UNKNOWN) -> Staged:
    return Staged(wanted.staging, len(data), hashlib.sha256(data).digest(), wholeness)


def always(wholeness: Wholeness = Wholeness.UNKNOWN) -> Inspect:
    """An inspection that says the same of every file."""
    return lambda fd, size_bytes, beginning: wholeness


def unknown(fd: int, size_bytes: int, beginning: bytes) -> Wholeness:
    """An inspection that knows nothing; another process can import it."""
    return Wholeness.UNKNOWN


def posix(
    dest: Path,
    room: Room | None = None,
    min_free_bytes: int = 0,
    inspect: Inspect | None = None,
    namespace: str = "box",
    **policy: object,
) -> PosixDestination:
    home = HomePolicy(dest, **policy)  # type: ignore[arg-type]
    desk = Desk(home, namespace, min_free_bytes, inspect or always())
    return PosixDestination(Threads(desk, namespace), room or Unbounded())


def budget(total_bytes: int = 1 << 26) -> Budget:
    return Budget(total_bytes)


def tree(dest: Path) -> dict[str, bytes]:
    """Every file under the destination but the marker, by its path. What is left in staging shows up here, too."""
    found = {}
    for folder, _, names in os.walk(os.fsencode(dest)):
        for name in names:
            path = os.path.join(folder, name)
            inner = os.path.relpath(path, os.fsencode(dest))
            if inner != b".forged/id":
                found[os.fsdecode(inner)] = Path(os.fsdecode(path)).read_bytes()
    return found


@contextmanager
def tmpfs(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A small file system of its own, mounted on `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "forged-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False, stderr=subprocess.DEVNULL)
