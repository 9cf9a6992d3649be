"""A line that is cut, stalled and slowed at random: a proxy in a thread of its own, in front of a real sshd."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

from tests.support.proxy import CutAfter, Line, Proxy, Slow, StallAfter, proxy

SPELL_S = 1.0
"""How long one kind of weather lasts on average."""

LOGIN_BYTES = 8_000
"""Of the SSH handshake and the agent's first words, from the server (measured: about 5,000). What comes after is forged's work."""


class Weather(threading.Thread):
    """Good spells and bad ones in turn, until `clear` is called; then the line stays good.

    `struck` counts the bad spells, by kind, in which bytes were hit that were on their way over a living connection: cut off, held
    back until the connection was given up, or delayed. Those that hit nothing but a login are counted apart.
    """

    def __init__(self, to_port: int, seed: int) -> None:
        super().__init__(name="weather", daemon=True)
        self._to_port, self._chance = to_port, random.Random(seed)
        self._up, self._clear, self._ended = threading.Event(), threading.Event(), threading.Event()
        self.struck = Counter[str]()
        self.port = 0
        self._proxy: Proxy | None = None

    @property
    def at_work(self) -> bool:
        """Whether somebody is connected who has got further than the login."""
        return self._proxy is not None and self._proxy.came_bytes > LOGIN_BYTES

    @property
    def strikes(self) -> int:
        """Bad spells that hit more than a login."""
        return sum(times for kind, times in self.struck.items() if "login" not in kind)

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
            self._proxy, self.port = line, line.port
            self._up.set()
            while not self._ended.is_set():
                await (self._calm(line) if self._clear.is_set() else self._spell(line))

    async def _calm(self, line: Proxy) -> None:
        if type(line.line) is not Line:
            line.line = Line()
            line.cut()  # what hangs in a stalled connection would be waited for
        await asyncio.sleep(0.1)

    async def _spell(self, line: Proxy) -> None:
        kind = self._chance.choice(["good", "cut", "cut", "stall", "slow"])
        hits = _Hits(line)
        line.line = self._line(kind)
        line.line.on_strike = hits.note
        await asyncio.sleep(0.1 + self._chance.expovariate(1 / SPELL_S))
        if hits.times:
            self.struck[kind if hits.at_work else f"{kind} at a login"] += 1
        if kind == "stall":
            line.line = Line()
            line.cut()

    def _line(self, kind: str) -> Line:
        match kind:
            case "cut":
                return CutAfter(self._chance.choice([1, self._chance.randrange(LOGIN_BYTES, 2_000_000)]), times=3)
            case "stall":
                return StallAfter(self._chance.choice([1, self._chance.randrange(LOGIN_BYTES, 500_000)]))
            case "slow":
                return Slow(0.005 + self._chance.random() * 0.03)
            case _:
                return Line()


class _Hits:
    """What one spell has hit."""

    def __init__(self, line: Proxy) -> None:
        self._line = line
        self.times = 0
        self.at_work = False

    def note(self) -> None:
        self.times += 1
        self.at_work = self.at_work or self._line.came_bytes > LOGIN_BYTES
