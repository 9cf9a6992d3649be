"""The box's generators as a process of its own, and the ledger that it tells on the way."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forged.demo.grounds import Grounds
from forged.demo.producer import made
from forged.demo.story import Story
from forged.model.errors import ForgedError

STOP_S = 10.0
"""How long the box may take to finish its last file before it is killed."""


class BoxBroke(ForgedError):
    """The throw-away box could not make its files."""


@asynccontextmanager
async def box(grounds: Grounds, story: Story) -> AsyncIterator[asyncio.Event]:
    """The box works while the block runs, or until the event is set, which it sets itself when it ends too early.

    When the block is left the box is off, and the story knows all it has made. Raises BoxBroke.
    """
    stop = asyncio.Event()
    with grounds.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "forged.demo.producer", str(grounds.box)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to handle; the box ends when its standard input does
        )
    listening = asyncio.create_task(listen(process, grounds, story, stop))
    stopping = asyncio.create_task(hang_up(process, stop))
    try:
        yield stop
        stop.set()
        await listening
    finally:
        stop.set()
        await ended(process, stopping, listening)


async def listen(process: asyncio.subprocess.Process, grounds: Grounds, story: Story, stop: asyncio.Event) -> None:
    """Writes down and passes on what the box tells, until it says no more. Raises BoxBroke when it failed."""
    assert process.stdout is not None
    try:
        with grounds.ledger.open("wb") as written:
            async for line in process.stdout:
                written.write(line)
                written.flush()
                story.tell(made(line.decode()))
        if await process.wait() != 0:
            raise BoxBroke(f"the box ended with status {process.returncode}", hint=f"its own words: {grounds.log}")
    finally:
        stop.set()  # also when it ended too early: there is nothing to wait for any more


async def hang_up(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    await stop.wait()
    assert process.stdin is not None
    process.stdin.close()


async def ended(process: asyncio.subprocess.Process, *tasks: asyncio.Task[None]) -> None:
    """Waits for the box to end, kills it if it does not, and leaves no task behind."""
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
    await asyncio.gather(*tasks, return_exceptions=True)  # what they raised was raised where it was waited for
