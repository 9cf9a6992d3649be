"""Trying a discovery once, for people who want to know whether it works (`forged check --connect`)."""

from __future__ import annotations

from dataclasses import dataclass

from forged.discovery.base import Discovery
from forged.model.boxes import Box
from forged.model.errors import DiscoveryError


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: `boxes`, or an `error`. And what should be mended all the same."""

    boxes: tuple[Box, ...] | None
    error: DiscoveryError | None
    warnings: tuple[str, ...]


async def tried(discovery: Discovery) -> Trial:
    """Asks it once, within its own deadlines, and closes it. Never raises a DiscoveryError: that is an answer here."""
    try:
        boxes = await discovery.boxes()
    except DiscoveryError as error:
        return Trial(None, error, discovery.warnings())
    finally:
        await discovery.aclose()
    return Trial(boxes, None, discovery.warnings())
