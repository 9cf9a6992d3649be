"""A line that is cut, stalled and slowed at random: a proxy in a thread of its own, in front of a real sshd."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

from tests.support.proxy import CutAfter, Line, Proxy, Slow, StallAfter, proxy

SPELL_S = 1.2
"""How long one kind of weather lasts on average."""


class Weather(threading.Thread):
    """Good spells and bad ones in turn, until `clear` is called; then the line stays good. `had` counts what struck somebody."""

    def __init__(self, to_port: int, seed: int) -> None:
        super().__init__(name="weather", daemon=True)
        self._to_port, self._chance = to_port, random.Random(seed)
        self._up, self._clear, self._ended = threading.Event(), threading.Event(), threading.Event()
        self.had = Counter[str]()
        self.port = 0

    def __enter__(self) -> Weather:
        self.start()
        self._up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear.set()
        self._ended.set()
        self.join()

    def clear(self) -> None:
        """From now on the line is good."""
        self._clear.set()

    def run(self) -> None:
        asyncio.run(self._weather())

    async def _weather(self) -> None:
        async with proxy(self._to_port) as line:
            self.port = line.port
            self._up.set()
            while not self._ended.is_set():
                await self._spell(line)

    async def _spell(self, line: Proxy) -> None:
        if self._clear.is_set():
            if type(line.line) is not Line:
                line.line = Line()
                line.cut()  # what hangs in a stalled connection would be waited for
            await asyncio.sleep(0.1)
            return
        kind = self._chance.choice(["good", "cut now", "cut later", "stall", "slow"])
        if line.connected:
            self.had[kind] += 1
        line.line = self._line(kind)
        await asyncio.sleep(self._chance.expovariate(1 / SPELL_S))
        if kind in ("cut now", "stall"):
            line.cut()

    def _line(self, kind: str) -> Line:
        match kind:
            case "cut later":
                return CutAfter(self._chance.randrange(2_000, 2_000_000), times=3)
            case "stall":
                return StallAfter(self._chance.randrange(2_000, 500_000))
            case "slow":
                return Slow(self._chance.random() * 0.03)
            case _:
                return Line()
