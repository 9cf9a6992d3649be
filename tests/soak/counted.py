"""`forged`, with a thread beside it that counts what no file of /proc tells: asyncio's tasks and Python's objects.

Run as `python -m tests.soak.counted <file> <forged's arguments>`; the newest numbers are in the file, as JSON.
"""

from __future__ import annotations

import asyncio
import gc
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
        objects = gc.get_objects()
        tasks = sum(isinstance(one, asyncio.Task) and not one.done() for one in objects)
        fresh.write_text(json.dumps({"tasks": tasks, "objects": len(objects)}))
        fresh.replace(numbers)
        del objects
        time.sleep(EVERY_S)


if __name__ == "__main__":
    threading.Thread(target=count, args=(Path(sys.argv.pop(1)),), name="counting", daemon=True).start()
    main()
