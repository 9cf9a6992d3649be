"""`daemon.config`: what is configured, as it holds now, and who said so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from forged.config.mistakes import told
from forged.control.peers import Level
from forged.control.registry import Registry
from forged.daemon.cursors import number
from forged.daemon.reload import RESTART_ONLY
from forged.model import rpc
from forged.model.settings import Config, EffectiveValue

PAGE_MOST = 1_000

ROOM_BYTES = 500_000
"""For the values of one page, so that the answer stays below 1 MiB; a value alone is smaller by far (config/effective)."""


class ConfigMethods:
    """The method of this group; `register` makes it callable."""

    def __init__(self, current: Callable[[], Config]) -> None:
        """`current`: the configuration in force. Asked here as well, for what only a restart can change."""
        self._current = current
        self._at_start = {one.key: one for one in current().effective if _needs_restart(one.key)}

    def register(self, registry: Registry) -> None:
        registry.add("daemon.config", self.config, level=Level.LOOK)

    async def config(self, limit: int = PAGE_MOST, cursor: str | None = None) -> rpc.EffectiveConfig:
        """Every key of the configuration with the value that holds and where it was said; secrets are masked."""
        config = self._current()
        values = [self._at_start.get(one.key, one) for one in config.effective]
        start = _position(cursor)
        page = _page(values[start:], max(1, min(limit, PAGE_MOST)))
        end = start + len(page)
        return {
            "success": True,
            "path": told(config.path),
            "values": page,
            "next_cursor": str(end) if end < len(values) else None,
        }


def _needs_restart(key: str) -> bool:
    """What a reload did not put in force is shown as it was read at the start. [state] counts as a whole."""
    return key in RESTART_ONLY or key.startswith("state.")


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    return number(cursor)


def _page(values: Sequence[EffectiveValue], most: int) -> list[rpc.ConfigValue]:
    """As many as were asked for and fit; at least one where there is one."""
    page: list[rpc.ConfigValue] = []
    used_bytes = 0
    for one in values[:most]:
        value = list(one.value) if isinstance(one.value, tuple) else one.value
        row: rpc.ConfigValue = {"key": one.key, "value": value, "origin": one.origin}
        used_bytes += len(json.dumps(row))
        if page and used_bytes > ROOM_BYTES:
            break
        page.append(row)
    return page
