"""The contract of a discovery, as promises. One suite (tests/discovery/contract.py) holds every body to it."""

from __future__ import annotations

from typing import Protocol

from forged.model.boxes import Box

MOST_BOXES = 10_000
"""In one answer. Nobody who uses forged rents as many; an answer that says more is refused as a whole."""


class Discovery(Protocol):
    """Asks which boxes there are.

    `boxes` answers all of them, each id once, or raises DiscoveryError: an error status, an empty body, a page of HTML, a page two
    that vanished, a list that is none are errors, never "there is none". Only an answer that says so in its own words is
    an empty one. A box of which only the id is understood is UNKNOWN, with the reason; one without an id voids the answer: who
    is not in it counts as gone. Answers are bounded in bytes, pages and boxes, and every call ends within a deadline.

    An id is a plain word (letters, digits, `.`, `_`, `-`; 64 at most; no two differ by case alone): it becomes the name of a
    target and of folders. Labels are without control characters, and bounded. With a label asked for, boxes of another or of no
    label are left out; one of which only the id is understood is not, since its label may be the right one.

    Only RUNNING and UNKNOWN boxes have addresses. What has no address says why. Secrets of the answer (tokens, environments,
    start scripts) are not kept, and no key is in any message.
    """

    async def boxes(self) -> tuple[Box, ...]:
        """All boxes there are now, in the order of their ids. Raises DiscoveryError.

        DiscoveryRefused (of which ApiKeyUnusable is one): the key is wrong. DiscoveryThrottled: asked too often.
        """

    def warnings(self) -> tuple[str, ...]:
        """What did not stop the last question but should be mended, in words for people: a key file that everybody may read."""

    async def aclose(self) -> None:
        """Lets go of connections. Nothing is asked any more."""
