"""How a shell is reached: over an SSH session, `docker exec`, or the pipes of a local process. This room knows of none of them."""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import Protocol

from forged.sources.agent.channel import Channel

SHELL_COMMAND = "exec sh"
"""What a login shell of any kind (sh, fish, csh) is told to become: a `sh` that reads its commands from standard input."""


class Line(enum.Enum):
    """What a shell's bytes travel on. Only a wish: where there is but one line, as to a container, it changes nothing."""

    SHARED = "shared"  # for questions and listings: beside others, on a connection that stands
    OWN = "own"  # for bytes: a connection of its own, since a long line is bound per TCP connection


class OpenShell(Protocol):
    """Opens a channel to a fresh shell."""

    def __call__(self, line: Line) -> Awaitable[Channel]:
        """A channel whose far end is a new process of `sh` that reads its commands from there, with nothing sent to it yet.

        Its `read` gives standard output alone; standard error is kept apart and bounded. `close` ends standard input and the
        channel, and need not kill what runs: without a reader it ends by itself. Raises SourceUnreachable, SourceLost and
        whatever else keeps the door shut, and NotSupported where it is certain that there is no shell (exit status 126 or 127).
        """
