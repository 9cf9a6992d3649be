"""The tour: a box that makes files, an SSH server in front of it, and the real daemon bringing them home and cleaning up.

However it ends (the time is over, Ctrl-C, an error, a daemon that dies), the box, the daemon, the server and every command are
stopped before it is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NoReturn, TypeVar

from forged.demo.box import box
from forged.demo.ending import Again, Ending, compared
from forged.demo.following import follow
from forged.demo.grounds import AGE, Grounds
from forged.demo.programs import Daemon, Forgectl, Said, daemon
from forged.demo.server import serving
from forged.demo.sheet import contact_sheet, thumbnails
from forged.demo.showing import Show
from forged.demo.story import Phase, Story
from forged.kit.clock import SystemClock
from forged.kit.units import parse_duration
from forged.model import rpc

WATCH_S = 10.0
"""How long the daemon may take to watch all targets before the box begins anyway. A machine without inotify is polled."""

ARRIVE_S = 5.0
"""How long pushed files may take after the box has stopped, before a sync looks for them."""

LAST_SYNCS = 8
"""At most so many of each target at the end; one is enough unless the machine is very busy."""

LOOK_S, LOOK_AGAIN_S = 20.0, 0.5
"""How long the last pictures may take to be looked into; each takes some 50 ms with its thumbnail."""

LAST_GASP_S = 1.0
"""From a connection that the daemon closed to its end, where that was its end."""

AGE_MARGIN_S = 0.1
"""A file is marked as landed a moment after it did."""

DRAINED = "forge"
"""Asked whether it is safe to destroy: yes. The other target would say no, since the picture that was cut is not home."""

T = TypeVar("T")


async def tour(grounds: Grounds, seconds: float, show: Show) -> Ending:
    """Gives the whole tour. Raises ForgedError when it cannot go on; of a dead daemon DaemonEnded, with its last words."""
    clock = SystemClock()
    story = Story(clock, grounds.places, grounds.home, clock.monotonic_s(), seconds)
    grounds.furnish()
    with grounds.socket() as socket:
        async with show(story), serving(grounds.box, grounds.keys) as served:
            grounds.configure(served, socket)
            async with daemon(grounds) as running:
                acts = play(grounds, story, Forgectl(grounds, socket))
                ending = await accompanied(acts, running, follow(socket, story))
            story.phase = Phase.OVER
    return ending


async def accompanied(acts: Coroutine[None, None, T], running: Daemon, following: Coroutine[None, None, NoReturn]) -> T:
    """The result of the acts, while the daemon lives and is followed. Raises DaemonEnded, or what went wrong first."""
    death, played = asyncio.ensure_future(running.ended()), asyncio.ensure_future(acts)
    tasks: list[asyncio.Future[T] | asyncio.Future[NoReturn]] = [death, played, asyncio.ensure_future(following)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not played.done() or played.exception() is not None:
            await asyncio.wait([death], timeout=LAST_GASP_S)  # a lost connection is told by the daemon's end, if it has ended
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def play(grounds: Grounds, story: Story, forgectl: Forgectl) -> Ending:
    """The acts, one after the other."""
    with suppress(TimeoutError):
        await asyncio.wait_for(story.watched.wait(), WATCH_S)
    async with box(grounds, story) as stop_box:
        story.begin_making()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop_box.wait(), story.seconds)
        story.phase = Phase.LAST
    again = await bring_the_last(story, forgectl)
    story.phase = Phase.AGEING
    await asyncio.sleep(until_old_s(story))
    story.phase = Phase.CLEANING
    for place in story.places:
        story.cleaned(place.target, await cleanup(place.target, forgectl))
    await all_looked_into(forgectl)
    said = [await forgectl.say("status"), await forgectl.say("drain", DRAINED, "--timeout", "20s")]
    said += [await forgectl.say("show", str(picture)) for picture in newest_picture(grounds)]
    story.phase = Phase.COMPARING
    return await judged(grounds, story, again, said)


async def bring_the_last(story: Story, forgectl: Forgectl) -> Again:
    """Syncs until nothing is new; answers that last sync, which moved nothing."""
    with suppress(TimeoutError):
        await asyncio.wait_for(story.all_home.wait(), ARRIVE_S)
    for _ in range(LAST_SYNCS):
        answers = await asyncio.gather(*(forgectl.ask("sync", place.target, "--wait") for place in story.places))
        results: list[rpc.JobResult] = [answer["job"]["result"] for answer in answers]
        again = Again(sum(one["files_transferred"] for one in results), max(one["duration"] for one in results))
        if not again.files:
            break
    return again


def until_old_s(story: Story) -> float:
    """How long until cleanup finds everything that is home old enough."""
    landed_s = max(story.landed_s.values(), default=0.0)
    return max(landed_s + parse_duration(AGE) + AGE_MARGIN_S - story.clock.now_ns() / 1e9, 0.0)


async def all_looked_into(forgectl: Forgectl) -> None:
    """Until nothing waits to be looked into, or it takes too long to stand there."""
    for _ in range(round(LOOK_S / LOOK_AGAIN_S)):
        told: rpc.DaemonStatus = (await forgectl.ask("status"))["daemon"]
        if not told["media"]["waiting"]:
            return
        await asyncio.sleep(LOOK_AGAIN_S)


def newest_picture(grounds: Grounds) -> list[Path]:
    """One of ComfyUI's, if there is any: its prompt is hidden deepest."""
    pictures = (file for place in reversed(grounds.places) for file in sorted(place.home.rglob("*.png"), reverse=True))
    return list(islice(pictures, 1))


async def cleanup(target: str, forgectl: Forgectl) -> rpc.Cleanup:
    """Raises ForgectlFailed when it was stopped by something."""
    answer: rpc.Cleanup = await forgectl.ask("cleanup", target)
    return answer


async def judged(grounds: Grounds, story: Story, again: Again, said: Sequence[Said]) -> Ending:
    """Reads every file at home, and compares it with what the box wrote down when it made it."""
    comparisons = await asyncio.gather(*(asyncio.to_thread(compared, place, story.ledger) for place in story.places))
    sheet = await asyncio.to_thread(contact_sheet, thumbnails(grounds.home), grounds.sheet)
    return Ending(story, grounds, tuple(comparisons), again, tuple(said), sheet)
