"""The current configuration: proposed, applied. Start and reload go the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from forged.model.settings import Config

Subscriber = Callable[[Config], Awaitable[None]]
"""Makes a configuration real. It must bear being called again with an equal one, and must not propose another one itself."""


class ConfigStore:
    """Holds the configuration that is in force. One proposal at a time: none comes in before the last subscriber is done."""

    def __init__(self, current: Config) -> None:
        self._current = current
        self._subscribers: list[Subscriber] = []
        self._turn = asyncio.Lock()

    @property
    def current(self) -> Config:
        """The configuration in force."""
        return self._current

    async def subscribe(self, subscriber: Subscriber) -> None:
        """Calls `subscriber` now with the current configuration, and again after each change."""
        async with self._turn:
            await subscriber(self._current)
            self._subscribers.append(subscriber)

    async def propose(self, new: Config) -> None:
        """Puts `new` in force and has the subscribers apply it, in the order they came.

        Whether it may be is asked before (config.load, daemon.reload). A subscriber that raises leaves `new` in force, the
        subscribers behind it uncalled, and its error to the caller: applying must not fail, so that is a bug and not a veto.
        """
        async with self._turn:
            self._current = new
            for subscriber in self._subscribers:
                await subscriber(new)
