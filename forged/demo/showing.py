"""Drawing the story while it happens: a live picture for a person, a line now and then for a log."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from pathlib import Path

from forged.demo.story import Phase, Story
from forged.kit.units import human_duration, human_size

FRAME_S = 0.1
LINE_EVERY_S = 2.0

WORDS_REMEMBERED = 64
"""Prompts kept, so that a file on the screen is opened once and not ten times a second."""

Show = Callable[[Story], AbstractAsyncContextManager[None]]
"""Draws while the block runs."""


@asynccontextmanager
async def live(story: Story) -> AsyncIterator[None]:
    """A picture that changes in place; its last state stays on the screen."""
    from rich.console import Console
    from rich.live import Live

    from forged.demo.screen import screen
    from forged.demo.snippets import snippet

    words: Callable[[Path], str] = lru_cache(WORDS_REMEMBERED)(snippet)
    with Live(console=Console(), auto_refresh=False) as picture:

        def draw() -> None:
            story.turn_second()
            picture.update(screen(story, words), refresh=True)

        async with repeated(draw, FRAME_S):
            yield
        draw()


@asynccontextmanager
async def plain(story: Story) -> AsyncIterator[None]:
    """Lines, for a pipe or a log."""
    told: list[Phase] = []

    def tell() -> None:
        if story.phase not in told:
            told.append(story.phase)
            print_line(story.phase.value)
        print_line(standing(story))

    async with repeated(tell, LINE_EVERY_S):
        yield


def standing(story: Story) -> str:
    """`6 s: 21 files made, 19 home (3.1 MB), 640 ms after the last byte`."""
    soon = "" if story.median_s is None else f", {human_duration(story.median_s)} after the last byte (median)"
    made, home = story.total_made, story.total_home
    return f"{story.elapsed_s:3.0f} s: {made.files} files made, {home.files} home ({human_size(home.size_bytes)}){soon}"


@asynccontextmanager
async def repeated(action: Callable[[], None], every_s: float) -> AsyncIterator[None]:
    """Does it now and then again, from the event loop itself: what it reads never changes under its hands."""

    async def repeat() -> None:
        while True:
            action()
            await asyncio.sleep(every_s)

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()
        await asyncio.gather(repeating, return_exceptions=True)


def print_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
