"""A program to be killed: looks into what waits at a real destination, as the daemon would, and prints the name of each file done.

enriching.py FOLDER [DEADLY]    with FOLDER/home and FOLDER/state; the first life lands the files. Ends when nothing is left to do,
                                or is killed by itself when it looks into the file of the name DEADLY.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from contextlib import aclosing
from pathlib import Path

from forged.destination.base import Landing
from forged.kit.clock import SystemClock
from forged.media.base import Opened
from forged.model.manifest import ManifestRow
from forged.model.observer import Nobody
from forged.model.paths import home_path
from forged.model.target import DuplicatesMode, HomePolicy, MediaPolicy, Target, TargetName
from forged.model.transfer import Receipt
from forged.rules.selection import Selector
from forged.store.base import Store
from forged.store.sqlite import open_store
from forged.sync.enrich import Rooms
from forged.sync.enrichment import Enrichment, Turns
from tests.destination.places import pieces, posix, request
from tests.support.world import TARGET
from tests.sync.toys import ToyExaminer, ToySidecars

FILES = {b"%03d.png" % n: b"picture %d " % (n // 2) * 2_000 for n in range(80)}
"""Two of each content."""

EDITED = b"rating 5"
"""What the owner's program wrote into the sidecars of some."""


def target(folder: Path) -> Target:
    policy = MediaPolicy(thumbnails=True, phash=True, duplicates=DuplicatesMode.HARDLINK, workers=2)
    return Target(TargetName("box"), TARGET.type, TARGET.source, HomePolicy(folder / "home"), media=policy)


async def land(store: Store, rooms: Rooms) -> None:
    requests = {path: request(path, data) for path, data in FILES.items()}
    async with aclosing(rooms.destination.sink()) as sink:
        for path, data in FILES.items():
            await sink.reserve(len(data))
            (staged,) = await sink.write(pieces(requests[path], data))
            await rooms.destination.land([Landing(Receipt(requests[path].entry, staged), home_path(path))])
    rows = [
        ManifestRow(one.entry.path, one.entry.stat, hashlib.sha256(FILES[path]).digest(), home_path(path), number)
        for number, (path, one) in enumerate(requests.items())
    ]
    await store.manifest.record(rooms.target.manifest, rows, to_examine={row.path for row in rows})
    for path in list(FILES)[::5]:
        (rooms.target.home.dest / os.fsdecode(path + b".xmp")).write_bytes(EDITED)


def tell(file: Opened) -> None:
    print(file.name, flush=True)
    if file.name in sys.argv[2:]:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path) -> None:
    mine = target(folder)
    store, destination = await open_store(folder / "state/forged.db"), posix(folder / "home")
    await destination.ready(None)
    examiner, sidecars = ToyExaminer(before=tell), ToySidecars()
    selector, clock = Selector(mine.selection), SystemClock()
    rooms = Rooms(mine, selector, destination, store, examiner, sidecars, Nobody(), clock, lambda: [mine.manifest])
    if (await store.manifest.count(mine.manifest))[0] == 0:
        await land(store, rooms)
    await Enrichment(rooms, Turns(2)).drain()
    await destination.sweep(())
    await destination.aclose()
    await store.close()
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
