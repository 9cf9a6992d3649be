"""How fast the store is on this machine: `python -m tests.store.speed [postgres]`. Figures go into docstrings, none is asserted.

With `postgres` it is one in a server of its own, which waits for the disk as one in use would (in memory, where the folder is).
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from forged.model.manifest import ManifestRow
from forged.model.settings import Secret
from forged.store.base import Store
from forged.store.postgres import Place
from forged.store.postgres import open_store as open_postgres
from forged.store.sqlite import open_store
from tests.store.samples import FORGE, row
from tests.support.postgres import PostgresServer, postgres_server

Open = Callable[[Path], Awaitable[Store]]

ROWS, BATCH, PAGE = 100_000, 1_000, 4_096


async def measured(what: str, rows: int, work: Awaitable[None]) -> None:
    """Prints rows a second, and for how long the event loop did not come round."""
    lags_s: list[float] = []
    watching = asyncio.create_task(watch(lags_s))
    started = time.perf_counter()
    await work
    took_s = time.perf_counter() - started
    watching.cancel()
    lags_s.sort()
    p99_s, worst_s = lags_s[int(len(lags_s) * 0.99)], lags_s[-1]
    print(f"{what:24} {rows / took_s:10,.0f} rows/s   loop blocked: p99 {p99_s * 1e3:.1f} ms, worst {worst_s * 1e3:.1f} ms")


async def watch(lags_s: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.002)
        lags_s.append(time.perf_counter() - before - 0.002)


async def record(store: Store, rows: list[ManifestRow]) -> None:
    for start in range(0, ROWS, BATCH):
        await store.manifest.record(FORGE, rows[start : start + BATCH])


async def record_to_examine(store: Store, rows: list[ManifestRow]) -> None:
    for start in range(0, ROWS, BATCH):
        step = rows[start : start + BATCH]
        await store.manifest.record(FORGE, step, to_examine={one.path for one in step})


async def read(store: Store) -> None:
    after = None
    while page := await store.manifest.between(FORGE, after, None, PAGE):
        after = page[-1].path


async def look(store: Store) -> None:
    """What a look at everything reads for its diff."""
    after = None
    while page := await store.manifest.outlines(FORGE, after, None, PAGE):
        after = page[-1][0]


async def one_by_one(store: Store, rows: list[ManifestRow]) -> None:
    for one in rows:
        await store.manifest.restat(FORGE, [(one.path, one.stat)])


async def main(open_store: Open) -> None:
    in_order = [row(b"txt2img-images/2026-%02d/%05d-%d.png" % (n // 3_000, n, n * 7919), b"%d" % n) for n in range(ROWS)]
    in_any = random.Random(1).sample(in_order, ROWS)
    gc.collect()
    gc.freeze()  # else the collector walks over these samples again and again, and is measured instead
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("in order", in_order), ("in any order", in_any)):
            store = await open_store(Path(folder) / f"{name}.db")
            await measured(f"record, {name}", ROWS, record(store, rows))
            await measured("the same again", ROWS, record(store, rows))
            await measured("between", ROWS, read(store))
            await measured("outlines", ROWS, look(store))
            await measured("one row a transaction", 500, one_by_one(store, rows[:500]))
            await store.close()
            store = await open_store(Path(folder) / f"{name}, to be examined.db")
            await measured("record, to be examined", ROWS, record_to_examine(store, rows))
            await store.close()


def in_postgres(server: PostgresServer) -> Open:
    """A schema for each name."""

    async def opened(file: Path) -> Store:
        schema = "".join(filter(str.isalpha, file.stem))
        place = Place(Secret(f"{server.dsn('postgres')}?schema={schema}"), file.with_suffix(".id"), file.with_suffix(".none"))
        return await open_postgres(place)

    return opened


if __name__ == "__main__":
    if sys.argv[1:] == ["postgres"]:
        with postgres_server(settings=()) as server:
            asyncio.run(main(in_postgres(server)))
    else:
        asyncio.run(main(open_store))
