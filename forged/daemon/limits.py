"""Bandwidth limits that people set while forged runs: until the next restart, or kept over restarts in the store.

A person's limit stands in place of the configured one, whatever a reload changes there, and follows the target's name.
"""

from __future__ import annotations

from typing import Literal

from forged.config.timetable import bandwidth_text, parse_bandwidth
from forged.daemon.pool import Pool
from forged.kit.logs import logger
from forged.model import rpc
from forged.model.errors import ForgedError
from forged.model.target import Bandwidth
from forged.store.base import Limits

Origin = Literal["config", "kept", "until restart"]

CONFIGURED = "config"
"""The word that gives the configured limit back."""


class PersonsLimits:
    """What people have set, above what is configured."""

    def __init__(self, pool: Pool, kept: Limits) -> None:
        self._pool = pool
        self._kept = kept
        self._origins: dict[str | None, Origin] = {}

    async def restore(self) -> None:
        """At the start, before the first target moves a byte: the kept limits hold again. Raises StoreError."""
        for target, text in (await self._kept.kept()).items():
            try:
                self._hold(target, parse_bandwidth(text), "kept")
            except ValueError as e:  # written by a forged that knew more; a limit is no reason not to start
                logger("forged.daemon").warning(
                    "a kept limit cannot be read, so the configured one holds",
                    target=target,
                    reason=str(e),
                    hint="set it again: forgectl limit --keep, or forget it: forgectl limit config",
                )

    async def change(self, target: str | None, text: str, *, keep: bool) -> None:
        """Another limit for one target or (None) for all together; "config" forgets it.

        With `keep` it is durable on return. Raises ForgedError for what is no limit, StoreError; then nothing has changed.
        """
        if text == CONFIGURED:
            await self._kept.keep(target, None)
            self._hold(target, None, "config")
            return
        bandwidth = _parsed(text)
        if keep:
            await self._kept.keep(target, text)
        self._hold(target, bandwidth, "kept" if keep else "until restart")

    def _hold(self, target: str | None, bandwidth: Bandwidth | None, origin: Origin) -> None:
        self._pool.override(target, bandwidth)
        self._origins[target] = origin

    def shown(self) -> list[rpc.Limit]:
        """All limits as they hold now, the shared one first. One that is set until the restart hides a kept one."""
        return [
            {"target": target, "rate": rate, "limit": bandwidth_text(bandwidth), "origin": self._origins.get(target, "config")}
            for target, (bandwidth, rate) in self._pool.limits().items()
        ]


def _parsed(text: str) -> Bandwidth:
    try:
        return parse_bandwidth(text)
    except ValueError as e:
        raise ForgedError(f"{text!r} is no limit: {e}", hint='a rate ("20MB/s"), "off", a timetable, or "config"') from e
