"""`python -m tests.bench.ingest`: how many events a second reach PostgreSQL, with fsync on, from the outbox by the batch.

Each is a picture with its prompt, a LoRA and ComfyUI's graph (4 KB of raw blocks). The server is as Debian ships it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence

from forged.demo.recipes import graph, invented, parameters
from forged.ingest.delivery import Delivery
from forged.ingest.postgres import Postgres
from forged.kit.clock import SystemClock
from forged.model.events import Event, EventId, EventKind
from forged.model.ingest import FileBody, written
from forged.model.media import Generation, Lora, MediaInfo, MediaKind, RawBlock
from forged.model.settings import PostgresIngest, Secret
from tests.support.postgres import postgres_server

EVENTS = 10_000
GOAL = 3_000


class Waiting:
    """An outbox that is in memory: what is measured is the way from there."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events, self._upto = events, 0

    async def after(self, handler: str, limit: int) -> Sequence[Event]:
        return self._events[self._upto : self._upto + limit]

    async def acknowledge(self, handler: str, upto: EventId) -> None:
        self._upto = upto


def made(number: int, rng: random.Random) -> Event:
    recipe = invented(rng, 64)
    blocks = (RawBlock("png/tEXt/parameters", parameters(recipe)), RawBlock("png/tEXt/prompt", graph(recipe)))
    filled = (RawBlock("png/tEXt/workflow", '{"nodes": [' + ",".join(['{"id": 1, "pos": [0.5, 1]}'] * 80) + "]}"),)
    generation = Generation(
        *("ComfyUI", "0.3", parameters(recipe)[:400], "blurry", str(recipe.seed)),
        model="sd_xl_base_1.0.safetensors",
        loras=(Lora("detail", 0.6),),
        origins={"prompt": "png/tEXt/prompt"},
    )
    info = MediaInfo(MediaKind.IMAGE, "png", 1024, 1024, generation=generation, raw=(*blocks, *filled))
    home = f"/srv/media/studio/{number:07}.png"
    body = FileBody(
        f"{number:07}.png", home, 1_500_000, rng.randbytes(32).hex(), time.time_ns(), time.time_ns(), "studio", media=info
    )
    return Event(EventId(number), EventKind.FILE_SYNCED, "studio", time.time_ns(), home, written(body))


async def bring(events: Sequence[Event], dsn: str) -> float:
    """How many a second, all in all."""
    handler = Postgres("archive", PostgresIngest(Secret(dsn)))
    delivery = Delivery(handler, Waiting(events), SystemClock())
    began_s = time.perf_counter()
    while await delivery.once():
        pass
    taken_s = time.perf_counter() - began_s
    await handler.aclose()
    return len(events) / taken_s


def main() -> int:
    rng = random.Random(7)
    events = [made(number, rng) for number in range(1, EVENTS + 1)]
    with postgres_server(settings=()) as server:
        database = server.database()
        rate = asyncio.run(bring(events, server.dsn(database)))
        [[rows]] = server.sql("select count(*) from forged.generations", database)
        [[fsync]] = server.sql("show fsync")
    assert (rows, fsync) == (str(EVENTS), "on")
    size = sum(len(event.body) for event in events) / EVENTS
    told = f"{rate:,.0f} a second, fsync on ({size:,.0f} bytes each, load {os.getloadavg()[0]:.0f})"
    print(f"{'events to PostgreSQL':22} {told}   (goal: >= {GOAL:,})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
