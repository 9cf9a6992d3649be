"""A process that brings the same files home again and again until it is killed: run by test_crash, which kills it.

crasher.py DEST NOTES LEVEL     prints "go" when it begins and "done" when all is home
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from forged.destination.posix import PosixDestination
from forged.destination.sink import StagingSink
from forged.kit.durable import NoReplace
from forged.model.transfer import Landed, Receipt, Request
from tests.destination.places import landing, pieces, posix, request
from tests.destination.test_posix import without

FOLDERS = (b"", b"a/", b"a/b/", b"other/", b"other/c/")
TAKEN = b"owner's own"


def files() -> dict[bytes, bytes]:
    """What has to come home, by its path at the source."""
    chance = random.Random(7)
    small = {b"%s%d.png" % (chance.choice(FOLDERS), n): chance.randbytes(chance.choice([0, 1, 500, 9000])) for n in range(120)}
    return small | {b"%slarge%d.mp4" % (folder, n): chance.randbytes(700_000) for n, folder in enumerate(FOLDERS)}


def taken(path: bytes) -> bool:
    """Whether the owner has something else under this name."""
    return path.endswith(b"3.png")


async def _pour(home: PosixDestination, sink: StagingSink, batch: list[tuple[bytes, bytes]]) -> list[Receipt]:
    """As the transfer does it, in pieces that come in disorder."""
    fresh = [request(path, data) for path, data in batch]
    offsets = await home.resume_points([wanted.staging for wanted in fresh])
    asked = [Request(w.entry, w.staging, offset) for w, offset in zip(fresh, offsets, strict=True)]
    receipts = []
    for wanted, (_, data) in zip(asked, batch, strict=True):
        parts = pieces(wanted, data, 50_000)
        random.shuffle(parts)
        for part in parts:
            receipts += [Receipt(wanted.entry, done) for done in await sink.write([part])]
    return receipts


async def bring(dest: Path, notes: Path) -> None:
    home = posix(dest)
    await home.ready(None)
    known = set(notes.read_bytes().split(b"\0")) if notes.exists() else set()
    left = [(path, data) for path, data in files().items() if path not in known]
    with notes.open("ab", buffering=0) as memory:
        for start in range(0, len(left), 8):
            async with aclosing(home.sink()) as sink:
                receipts = await _pour(home, sink, left[start : start + 8])
                if random.random() < 0.5:
                    await sink.aclose()  # most files land before their sink ends, and some after it
                answers = await home.land([landing(receipt) for receipt in receipts])
            for landed in answers:
                assert isinstance(landed, Landed), landed
                memory.write(landed.entry.path + b"\0")
    await home.sweep(())
    await home.aclose()


def live(dest: Path, notes: Path, seconds: float | None) -> int:
    """One life in a process of its own; answers how it ended. The moment is random on purpose: no outcome depends on it."""
    child = os.fork()
    if child == 0:
        asyncio.run(bring(dest, notes))
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch:
        without(patch, NoReplace(sys.argv[3]))
        for line in sys.stdin:
            wish = line.strip()
            print(live(Path(sys.argv[1]), Path(sys.argv[2]), None if wish == "on" else float(wish)), flush=True)
