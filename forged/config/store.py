"""The current configuration: proposed, checked, applied. Start and reload go the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from forged.model.settings import Config

Verifier = Callable[[Config, Config], None]
"""Looks at (old, new) and raises ConfigError to veto. It must not act: a later verifier may still say no."""

Subscriber = Callable[[Config], Awaitable[None]]
"""Makes a configuration real. It must bear being called again with an equal one, and must not propose another one itself."""


class ConfigStore:
    """Holds the configuration that is in force.

    One proposal at a time: between the first verifier and the last subscriber no other one comes in.
    """

    def __init__(self, current: Config) -> None:
        self._current = current
        self._verifiers: list[Verifier] = []
        self._subscribers: list[Subscriber] = []
        self._turn = asyncio.Lock()

    @property
    def current(self) -> Config:
        """The configuration in force."""
        return self._current

    def verify_with(self, verifier: Verifier) -> None:
        """From now on `verifier` may veto proposals."""
        self._verifiers.append(verifier)

    async def subscribe(self, subscriber: Subscriber) -> None:
        """Calls `subscriber` now with the current configuration, and again after each change."""
        async with self._turn:
            await subscriber(self._current)
            self._subscribers.append(subscriber)

    async def propose(self, new: Config) -> None:
        """Puts `new` in force and has the subscribers apply it, in the order they came.

        Raises what a verifier raised; then nothing has changed. A subscriber that raises leaves `new` in force, the subscribers
        behind it uncalled, and its error to the caller: applying must not fail, so that is a bug and not a veto.
        """
        async with self._turn:
            for verifier in self._verifiers:
                verifier(self._current, new)
            self._current = new
            for subscriber in self._subscribers:
                await subscriber(new)
