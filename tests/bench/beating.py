"""`forged` with a heart that is listened to: a task in its loop notes how late it wakes up, in milliseconds, a line each."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from forged.cli import forged
from forged.daemon.main import _Daemon

BEAT_S = 0.005
"""Short against the 50 ms that are at stake, and no load: 200 wake-ups a second."""


def late_file(folder: Path) -> Path:
    return folder / "late.txt"


def main() -> None:
    """Runs forged's own command with the task beside it."""
    run = _Daemon.run

    async def listened_to(self: _Daemon) -> int:
        beating = asyncio.create_task(beat(late_file(Path(os.environ["HOME"]).parent)))
        try:
            return await run(self)
        finally:
            beating.cancel()

    _Daemon.run = listened_to  # type: ignore[method-assign]
    forged.main()


async def beat(to: Path) -> None:
    loop = asyncio.get_running_loop()
    with to.open("w") as file:
        while True:
            due_s = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            file.write(f"{max(loop.time() - due_s, 0) * 1e3:.1f}\n")


if __name__ == "__main__":
    sys.exit(main())
