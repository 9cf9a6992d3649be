"""How long to wait before trying again: a pure sequence of seconds. Who waits, and on which clock, is the caller's business."""

from __future__ import annotations

from collections.abc import Callable, Iterator

GROWTH = 2.0
"""Each bound is twice the one before: the usual choice, and a box that is down for an hour sees some ten knocks, not thousands."""


def backoff(first_s: float, longest_s: float, chance: Callable[[], float]) -> Iterator[float]:
    """Endless waits in seconds: the n-th lies between 0 and `first_s * 2**n`, but never above `longest_s`.

    `chance` answers numbers in [0, 1), as `random.random` does. The whole interval is drawn from ("full jitter"), so that many
    targets that lost the same box do not come back at the same moment and knock it over again.
    """
    bound_s = min(first_s, longest_s)
    while True:
        yield bound_s * chance()
        bound_s = min(bound_s * GROWTH, longest_s)
