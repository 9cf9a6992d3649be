"""Drawing the story while it happens: a live picture for a person, a line now and then for a log."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from pathlib import Path

from forged.demo.ending import kept, went
from forged.demo.story import Phase, Story
from forged.kit.units import human_duration, human_size

FRAME_S, LINE_EVERY_S = 0.1, 2.0
"""Between two pictures for a person, and between two lines for a log: a tour of a minute has about thirty."""

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
    lines = Lines(story)
    async with repeated(lines.tell, FRAME_S):
        yield
    lines.tell()


class Lines:
    """Each chapter and each cleanup once, and where the story stands now and then."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._told: set[str] = set()
        self._next_s = 0.0

    def tell(self) -> None:
        """Prints what is new."""
        now_s, phase = self._story.clock.monotonic_s(), self._story.phase
        self._once(f"{phase.value} …" if phase is not Phase.OVER else phase.value)
        for target, answer in self._story.cleanups.items():
            self._once(f"  forgectl cleanup {target}: {went(answer)}; {kept([answer])}")
        if phase is Phase.MAKING and now_s >= self._next_s:
            self._next_s = now_s + LINE_EVERY_S
            print_line(standing(self._story))

    def _once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            print_line(text)


def standing(story: Story) -> str:
    """`6 s: 21 files made, 19 home (3.1 MB), 24 ms after close (median)`."""
    soon = "" if story.median_s is None else f", {human_duration(story.median_s)} after close (median)"
    made, home = story.total_made, story.total_home
    return f"  {story.elapsed_s:3.0f} s: {made.files} files made, {home.files} home ({human_size(home.size_bytes)}){soon}"


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
