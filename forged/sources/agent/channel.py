"""A duplex stream of bytes to a running agent: an SSH channel, a `docker exec`, or the pipes of a local process."""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """One agent's standard input and output. Raises SourceLost when the line is gone; never buffers without bound for long:
    the client asks for no more than it has room for."""

    async def read(self) -> bytes:
        """The next bytes, as many as there are (at least one); b"" when the agent has ended."""

    async def write(self, data: bytes) -> None:
        """Sends all of `data`; waits while the line is full."""

    async def close(self) -> str:
        """Ends the agent and the channel; answers the last of its standard error (at most 4 KiB, for messages). Never raises."""
