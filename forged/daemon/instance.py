"""The box behind a discovered target: what its provider says of it, and where it may be reached now."""

from __future__ import annotations

import json
from dataclasses import dataclass

from forged.model.boxes import KnownBox
from forged.model.events import Event
from forged.model.target import Target
from forged.rules.boxes import nobody_there
from forged.sources.routed import Route


@dataclass(frozen=True, slots=True)
class Found:
    """A target that a discovery wants, and the box that it is made of."""

    target: Target
    discovery: str
    known: KnownBox


@dataclass(slots=True, eq=False)
class Instance:
    """One target's. Its route is read at every connection."""

    discovery: str
    known: KnownBox
    route: Route

    @classmethod
    def of(cls, found: Found) -> Instance:
        return cls(found.discovery, found.known, Route(found.known.box.addresses, nobody_there(found.known)))

    def heard(self, known: KnownBox) -> bool:
        """What is known from now on. True when there is something new to try."""
        self.known = known
        return self.route.change(known.box.addresses, nobody_there(known))


def discovery_of(event: Event) -> str:
    """The discovery that found the box of this event; empty: none, or the event does not say."""
    body = json.loads(event.body)
    told = body.get("discovery") if isinstance(body, dict) else None
    return told if isinstance(told, str) else ""
