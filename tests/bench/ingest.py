"""`python -m tests.bench.ingest`: how many events a second reach PostgreSQL, with fsync on; the server is as Debian ships it.

Twice for each kind of picture: by the delivery alone, from a list in memory; and as users have it, from the outbox of a state
database on disk, whose progress is fsynced too.

What an event holds is what forged reads out of such a picture, and as much as real ones say: of 28 samples that ComfyUI has made,
the event has 7,345 bytes in the median (6,667 to 27,121), of 48 by other programs 1,705.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from forged.demo.recipes import Recipe, graph, invented, parameters
from forged.ingest.delivery import Delivery, Outbox
from forged.ingest.postgres import Postgres
from forged.kit.clock import SystemClock
from forged.media.generation.table import generation_of
from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.model.handing import SetAside
from forged.model.ingest import FileBody, written
from forged.model.media import MediaInfo, MediaKind, RawBlock
from forged.model.settings import PostgresIngest, Secret
from forged.store.sqlite import open_store
from tests.support.postgres import PostgresServer, postgres_server

EVENTS = 10_000
ROUNDS = 3
GOAL = 3_000

AT_NS = 1_700_000_000_250_000_000


class Waiting:
    """An outbox that is in memory."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events, self._upto = events, 0

    async def after(self, handler: str, limit: int) -> Sequence[Event]:
        return self._events[self._upto : self._upto + limit]

    async def settle(
        self, handler: str, *, upto: EventId | None = None, taken: Collection[EventId] = (), aside: Sequence[SetAside] = ()
    ) -> None:
        assert not aside
        self._upto = upto or self._upto

    async def set_aside_keys(self, handler: str, keys: Collection[str]) -> frozenset[str]:
        return frozenset()

    async def due(self, handler: str, now_ns: int, limit: int) -> Sequence[SetAside]:
        return ()

    async def next_due(self, handler: str) -> int | None:
        return None


# --- what pictures say ----------------------------------------------------------------------------------------------------


def a1111(recipe: Recipe, rng: random.Random) -> list[RawBlock]:
    return [RawBlock("png/tEXt/parameters", parameters(recipe))]


def comfyui(recipe: Recipe, rng: random.Random) -> list[RawBlock]:
    asked = graph(recipe)
    return [RawBlock("png/tEXt/prompt", asked), RawBlock("png/tEXt/workflow", workflow(json.loads(asked), rng))]


def workflow(nodes: dict[str, dict[str, object]], rng: random.Random) -> str:
    """The same as ComfyUI's editor has it: with places, sizes, and every link from both its ends."""
    drawn, links = [], []
    for order, (id, node) in enumerate(nodes.items()):
        inputs = node["inputs"]
        assert isinstance(inputs, dict)
        ends = []
        for slot, (name, value) in enumerate((name, value) for name, value in inputs.items() if isinstance(value, list)):
            links.append([len(links) + 1, int(value[0]), value[1], int(id), slot, name.upper()])
            ends.append({"name": name, "type": name.upper(), "link": len(links)})
        drawn.append(
            {
                "id": int(id),
                "type": node["class_type"],
                "pos": [round(rng.uniform(0, 2000), 8), rng.randrange(900)],
                "size": {"0": round(rng.uniform(200, 500), 13), "1": round(rng.uniform(40, 300), 13)},
                "flags": {},
                "order": order,
                "mode": 0,
                "inputs": ends,
                "outputs": [{"name": "OUT", "type": "OUT", "links": [order + 1, order + 2], "shape": 3, "slot_index": 0}],
                "properties": {"Node name for S&R": node["class_type"]},
                "widgets_values": [value for value in inputs.values() if not isinstance(value, list)],
            }
        )
    rest = {"groups": [], "config": {}, "extra": {"ds": {"scale": 0.9090909090909091, "offset": [310.5, -20.25]}}, "version": 0.4}
    return json.dumps({"last_node_id": 9, "last_link_id": len(links), "nodes": drawn, "links": links, **rest})


KINDS = {"ComfyUI": comfyui, "A1111": a1111}


def made(number: int, kind: str, rng: random.Random) -> Event:
    recipe = invented(rng, 64 if kind == "ComfyUI" else 32)
    raw = tuple(KINDS[kind](recipe, rng))
    info = MediaInfo(MediaKind.IMAGE, "png", 1024, 1024, generation=generation_of(raw), raw=raw)
    home = f"/srv/media/studio/output/2026-11-28/{number:07}.png"
    at_ns = AT_NS + number * 10**9
    body = FileBody(f"output/{number:07}.png", home, 1_500_000, rng.randbytes(32).hex(), at_ns, at_ns, "studio", media=info)
    return Event(EventId(number), EventKind.FILE_SYNCED, "studio", at_ns, home, written(body))


# --- measuring ------------------------------------------------------------------------------------------------------------


async def bring(events: int, outbox: Outbox, dsn: str) -> float:
    """How many a second, all in all."""
    handler = Postgres("archive", PostgresIngest(Secret(dsn)))
    delivery = Delivery(handler, outbox, SystemClock())
    began_s = time.perf_counter()
    while await delivery.once():
        pass
    taken_s = time.perf_counter() - began_s
    await handler.aclose()
    return events / taken_s


async def bring_from_disk(events: Sequence[Event], folder: Path, dsn: str) -> float:
    store = await open_store(folder / "forged.db")
    try:
        await store.outbox.put([NewEvent(one.kind, one.target, one.at_ns, one.key, one.body) for one in events])
        return await bring(len(events), store.outbox, dsn)
    finally:
        await store.close()


def measured(server: PostgresServer, events: Sequence[Event], from_disk: bool) -> float:
    database = server.database()
    dsn = server.dsn(database)
    with tempfile.TemporaryDirectory(prefix="forged-bench-", dir=os.environ.get("FORGED_BENCH_DIR", "/var/tmp")) as folder:
        way = bring_from_disk(events, Path(folder), dsn) if from_disk else bring(len(events), Waiting(events), dsn)
        rate = asyncio.run(way)
    assert server.sql("select count(*) from forged.generations", database) == [[str(len(events))]]
    server.sql(f"drop database {database}")
    return rate


def main() -> int:
    with postgres_server(settings=()) as server:
        assert server.sql("show fsync") == [["on"]]
        for kind in KINDS:
            rng = random.Random(7)
            events = [made(number, kind, rng) for number in range(1, EVENTS + 1)]
            size = sum(len(event.body) for event in events) / EVENTS
            print(f"events of {kind} to PostgreSQL, {size:,.0f} bytes each, fsync on   (goal: >= {GOAL:,} a second)")
            for from_disk, told in ((False, "by the delivery alone"), (True, "from the outbox on disk")):
                rates = [measured(server, events, from_disk) for _ in range(ROUNDS)]
                each = ", ".join(f"{rate:,.0f}" for rate in sorted(rates))
                load = f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
                print(f"  {told:24} {statistics.median(rates):,.0f} a second (of {each}; {load})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
