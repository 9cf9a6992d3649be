"""The contract of a discovery, as promises. One suite (tests/discovery/contract.py) holds every body to it."""

from __future__ import annotations

from typing import Protocol

from forged.model.boxes import Box


class Discovery(Protocol):
    """Asks which boxes there are.

    `boxes` answers all of them, each id once, or raises DiscoveryError: an error status, an empty body, a page of HTML, a page two
    that vanished, a list that is none are errors, never "there is none". Only an answer that says so in its own words is
    an empty one. A box of which only the id is understood is UNKNOWN, with the reason; one without an id voids the answer: who
    is not in it counts as gone. Answers are bounded in bytes, pages and boxes, and every call ends within a deadline.

    Secrets of the answer (tokens, environments, start scripts) are not kept, and no key is in any message.
    """

    async def boxes(self) -> tuple[Box, ...]:
        """All boxes there are now, in the order of their ids. Raises DiscoveryError."""

    async def aclose(self) -> None:
        """Lets go of connections."""
