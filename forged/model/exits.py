"""How a command of forged ends, as scripts see it."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit statuses, fixed for scripts. A signal that ends a command in order is 128 + its number, as shells count."""

    WELL = 0
    FAILED = 1
    """What was asked for failed, or the answer is no."""
    WRONG_USE = 2
    """A mistake in the command line or in the configuration."""
    NO_DAEMON = 3
    """forgectl: nobody listens, or not to this user."""
    INTERRUPTED = 130
    """SIGINT."""
