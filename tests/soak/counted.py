"""`forged`, with a thread beside it that counts what no file of /proc tells: asyncio's tasks and Python's blocks of memory.

Run as `python -m tests.soak.counted <file> <forged's arguments>`; the newest numbers are in the file, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

from forged.cli.forged import main

EVERY_S = 2.0


def count(numbers: Path) -> None:
    """For ever. Renamed into place, so that nobody reads half of it."""
    fresh = numbers.with_suffix(".new")
    while True:
        fresh.write_text(json.dumps({"tasks": tasks(), "blocks": sys.getallocatedblocks()}))
        fresh.replace(numbers)
        time.sleep(EVERY_S)


def tasks() -> int:
    """All that have not ended. `asyncio.all_tasks` wants to be asked in their loop; this is the set that it looks into."""
    while True:
        try:
            return sum(not task.done() for task in list(getattr(asyncio.tasks, "_all_tasks")))  # noqa: B009
        except RuntimeError:  # one began or ended meanwhile
            continue


if __name__ == "__main__":
    threading.Thread(target=count, args=(Path(sys.argv.pop(1)),), name="counting", daemon=True).start()
    main()
