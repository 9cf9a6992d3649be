"""How a shell is reached: over an SSH session, `docker exec`, or the pipes of a local process. This room knows of none of them."""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import Protocol

from forged.sources.agent.channel import Channel

SHELL_ARGV = ("sh",)
"""What runs at the far end where no login shell is between: it reads its commands from standard input, and nobody else does."""

SHELL_COMMAND = "exec sh"
"""The same as one line for a login shell of any kind (sh, fish, csh)."""


class Line(enum.Enum):
    """What a shell's bytes travel on. Only a wish: where there is but one line, as to a container, it changes nothing."""

    SHARED = "shared"  # for questions and listings: beside others, on a connection that stands
    OWN = "own"  # for bytes: a connection of its own, since a long line is bound per TCP connection


class OpenShell(Protocol):
    """Opens a channel to a fresh shell."""

    def __call__(self, line: Line) -> Awaitable[Channel]:
        """A channel whose far end is a new process of `SHELL_ARGV` (or `SHELL_COMMAND`), with nothing sent to it yet.

        Its `read` gives standard output alone; standard error is kept apart and bounded. `close` ends standard input and the
        channel, and need not kill what runs: without a reader it ends by itself. Raises SourceUnreachable, SourceLost and
        whatever else keeps the door shut, and NotSupported where it is certain that there is no shell (exit status 126 or 127).
        """
