"""`python -m tests.bench.find [FILES]`: how soon `forgectl find` has answered, the whole process, from a real daemon over a catalog
of a million files; and how many events a second the catalog takes, durable by the batch of 100.

The whole process is what a person waits for: Python starts, asks, and prints 50 rows. Each search is done several times in turn,
and the median told, with the slowest. FORGED_CATALOG names a file that is used, or made and kept there.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from forged.ingest.catalog.handler import Sqlite
from forged.ingest.delivery import Delivery
from forged.kit.clock import SystemClock
from forged.model.settings import SqliteIngest
from tests.bench.ingest import Waiting, made
from tests.bench.library import build
from tests.support.daemon import Daemon, daemon
from tests.support.sshd import sshd

FILES, TIMES, EVENTS = 1_000_000, 7, 10_000
GOAL_MS, GOAL_EVENTS = 200, 3_000

SEARCHES = {
    "newest": [],
    "a word in 80 %": ["masterpiece"],
    "three such words": ["masterpiece quality detailed"],
    "a phrase in 80 %": ['"best quality"'],
    "a beginning in 80 %": ["qual*"],
    "one letter": ["m*"],
    "a phrase of nobody": ['"quality masterpiece best"'],
    "only without": ["--", "-masterpiece"],
    "a word, a rare target": ["masterpiece", "--target", "rare"],
    "a word, a model": ["masterpiece", "--model", "flux"],
    "a seed of nobody": ["--seed", "12345"],
    "as JSON": ["masterpiece", "--json"],
}


def main() -> int:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    asyncio.run(events())
    with tempfile.TemporaryDirectory(prefix="forged-bench-") as folder, sshd() as box, daemon(box, folder) as house:
        state = house.root / "state"
        state.mkdir(mode=0o700)
        catalog(state / "catalog.db", files)
        house.start()
        for name, arguments in SEARCHES.items():
            searched(house, name, arguments, files)
    return 0


def catalog(path: Path, files: int) -> None:
    """Made, or the one that was kept."""
    kept = Path(os.environ.get("FORGED_CATALOG", path))
    if not kept.exists():
        build(kept, files)
    if kept != path:
        shutil.copyfile(kept, path)
    print(f"{'the catalog':22} {files:,} files, {path.stat().st_size / 1e9:.2f} GB", flush=True)


def searched(house: Daemon, name: str, arguments: list[str], files: int) -> float:
    """The median in milliseconds."""
    took_ms = sorted(once_ms(house, arguments) for _ in range(TIMES))
    middle_ms = statistics.median(took_ms)
    told = f"{middle_ms:,.0f} ms, slowest {took_ms[-1]:,.0f} (of {files:,} files, load {os.getloadavg()[0]:.0f})"
    print(f"{'find: ' + name:32} {told}   (goal: <= {GOAL_MS})", flush=True)
    return middle_ms


def once_ms(house: Daemon, arguments: list[str]) -> float:
    command = [str(Path(sys.executable).with_name("forgectl")), "--socket", house.control, "find", *arguments]
    began_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - began_s) * 1e3


async def events() -> None:
    """From an outbox in memory to the disk, by the delivery as it is."""
    rng = random.Random(7)
    told = [made(number, rng) for number in range(1, EVENTS + 1)]
    with tempfile.TemporaryDirectory(prefix="forged-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        handler = Sqlite("catalog", SqliteIngest(Path(folder) / "catalog.db"))
        delivery = Delivery(handler, Waiting(told), SystemClock())
        began_s = time.perf_counter()
        while await delivery.once():
            pass
        rate = EVENTS / (time.perf_counter() - began_s)
        await handler.aclose()
    size_bytes = sum(len(event.body) for event in islice(told, 100)) / 100
    print(
        f"{'events to the catalog':22} {rate:,.0f} a second, fsync on ({size_bytes:,.0f} bytes each, load {os.getloadavg()[0]:.0f})"
        f"   (goal: >= {GOAL_EVENTS:,})",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
