"""The tour: a box that makes files, an SSH server in front of it, and the real forged bringing them home.

However it ends (the time is over, Ctrl-C, an error), the box, the server and every command are stopped before it is left.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forged.daemon.app import App
from forged.demo.ending import Again, Ending, compared
from forged.demo.grounds import Grounds
from forged.demo.producer import made
from forged.demo.server import serving
from forged.demo.showing import Show
from forged.demo.story import Phase, Story
from forged.kit.clock import SystemClock
from forged.model.errors import ForgedError
from forged.sync.cycle import RoundResult

BREATH_S = 0.2
"""Between two syncs. A poll for the impatient: the daemon will hear of new files instead."""

LAST_SYNCS = 8
"""At most so many after the box has stopped; two are enough unless the machine is very busy."""

STOP_S = 10.0
"""How long the box may take to finish its last file before it is killed."""


class BoxBroke(ForgedError):
    """The throw-away box could not make its files."""

    default_hint = "its own words are in box.log"


async def tour(grounds: Grounds, seconds: float, show: Show) -> Ending:
    """Gives the whole tour. Raises ForgedError when it cannot even begin."""
    clock = SystemClock()
    story = Story(clock, grounds.places, grounds.home, clock.monotonic_s(), seconds)
    grounds.furnish()
    async with show(story), serving(grounds.box, grounds.keys) as served, box(grounds, story) as stop_box:
        config = grounds.configure(served)
        async with App.open(config, observer=story, ssh_home=grounds.root) as app:
            story.phase = Phase.MAKING
            await bring_home(app, story, stop_box)
            story.phase = Phase.LAST
            last = await bring_the_last(app, story)
        story.phase = Phase.COMPARING
        comparisons = await asyncio.gather(*(asyncio.to_thread(compared, place) for place in grounds.places))
        story.phase = Phase.OVER
    return Ending(story, grounds, tuple(comparisons), again(last), next((one.error for one in last if one.error), None))


async def bring_home(app: App, story: Story, stop_box: asyncio.Event) -> None:
    """Syncs again and again while the box works."""
    time_is_up = asyncio.get_running_loop().call_later(max(story.seconds - story.elapsed_s, 0), stop_box.set)
    try:
        while not stop_box.is_set():
            await sync(app, story)
            await asyncio.sleep(BREATH_S)
    finally:
        time_is_up.cancel()
        stop_box.set()


async def bring_the_last(app: App, story: Story) -> list[RoundResult]:
    """Syncs until nothing is new; answers that last sync, which moved nothing."""
    await story.box_is_off.wait()
    for _ in range(LAST_SYNCS):
        results = await sync(app, story)
        if not any(result.tally.transferred or result.error for result in results):
            break
        await asyncio.sleep(BREATH_S)
    return results


async def sync(app: App, story: Story) -> list[RoundResult]:
    results = await app.once()
    for result in results:
        story.round_over(result)
    return results


def again(last: list[RoundResult]) -> Again:
    durations = [result.job.result.duration_s for result in last if result.job.result]
    return Again(sum(result.tally.transferred for result in last), max(durations, default=0.0))


@asynccontextmanager
async def box(grounds: Grounds, story: Story) -> AsyncIterator[asyncio.Event]:
    """The box's generators, as a process of their own. Setting the event stops them; the story tells when they are off."""
    stop = asyncio.Event()
    with grounds.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "forged.demo.producer",
            str(grounds.box),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to handle; the box ends when its standard input does
        )
    listening = asyncio.create_task(listen(process, story, stop))
    stopping = asyncio.create_task(hang_up(process, stop))
    try:
        yield stop
        await listening
    finally:
        stop.set()
        await ended(process, stopping, listening)


async def listen(process: asyncio.subprocess.Process, story: Story, stop: asyncio.Event) -> None:
    """Passes on what the box tells, until it says no more. Raises BoxBroke when it failed."""
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            story.tell(made(line.decode()))
        if await process.wait() != 0:
            raise BoxBroke(f"the box ended with status {process.returncode}")
    finally:
        story.box_is_off.set()
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
