"""A program to be killed: records rows without end and prints the number of each one that the store has acknowledged.

It is a nursery: everything slow is loaded once, then each line of its input (a database file and a first number) starts a child by
fork, before any thread or event loop exists. The child prints its pid first.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from forged.store.sqlite import open_store
from tests.store.samples import FORGE, event, row


async def record_without_end(file: Path, number: int) -> None:
    store = await open_store(file)
    while True:
        rows = [row(b"%06d.png" % n) for n in range(number, number + 3)]
        await store.manifest.record(FORGE, rows, [event(str(number))])
        os.write(sys.stdout.fileno(), b"%d\n" % number)
        number += 3


def main() -> None:
    for line in sys.stdin:
        file, first = line.rsplit(maxsplit=1)
        pid = os.fork()
        if pid == 0:
            os.write(sys.stdout.fileno(), b"%d\n" % os.getpid())
            asyncio.run(record_without_end(Path(file), int(first)))
        os.waitpid(pid, 0)
        os.write(sys.stdout.fileno(), b"dead\n")


if __name__ == "__main__":
    main()
