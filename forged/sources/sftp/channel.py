"""The session in which a box runs its SFTP server: an SSH channel as any other, with the same bound on what it buffers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh

from forged.model.errors import Lacking, NotSupported, SourceError, SourceUnreachable
from forged.model.paths import shown
from forged.sources.ssh_channel import NOT_EXECUTABLE, NOT_FOUND, AgentSession, SshChannel
from forged.sources.ssh_link import OPEN_REQUEST_SESSION_FAILED, Link, LinkSettings, translated

OpenLink = Callable[[], Awaitable[Link]]
"""Opens a connection with nothing at its end. Raises SourceError."""

NO_SFTP_HINT = (
    "let its sshd_config say `Subsystem sftp internal-sftp`; or install python3 (3.6 or newer) on the box, and use ssh://, "
    "which needs no SFTP"
)


async def open_sftp(open_link: OpenLink) -> tuple[SshChannel, str]:
    """A fresh connection with an SFTP server at its end, and that place in words; closing the channel closes the connection.

    Raises what `open_link` raises, SourceUnreachable, and NotSupported where the box has no such server (Lacking where it
    says so clearly).
    """
    link, settings = await open_link(), LinkSettings()
    session = AgentSession()
    async with link.closing as stack:
        try:
            async with asyncio.timeout(settings.connect_s):
                chan, _ = await link.connection.create_session(
                    lambda: session,
                    subsystem="sftp",
                    encoding=None,
                    window=settings.window_bytes,
                    max_pktsize=settings.packet_bytes,
                )
        except TimeoutError as error:
            raise SourceUnreachable(f"{link.whereto} did not answer within {settings.connect_s:g} s") from error
        except asyncssh.ChannelOpenError as error:
            raise no_sftp(str(link.whereto), error.reason, clear=error.code == OPEN_REQUEST_SESSION_FAILED) from error
        except (asyncssh.Error, OSError) as error:
            raise translated(error, link.whereto) from error
        return SshChannel(str(link.whereto), chan, session, stack.pop_all(), why_no_sftp), str(link.whereto)


def why_no_sftp(place: str, status: int | None, said: str) -> SourceError | None:
    """A Refusal: the program that sshd_config (or dropbear) names is not there."""
    return no_sftp(place, said, clear=True) if status in (NOT_FOUND, NOT_EXECUTABLE) else None


def no_sftp(place: str, why: str, *, clear: bool = False) -> NotSupported:
    """The box has no SFTP server; `why` is what it said, in words or not. `clear`: there can be no doubt about it."""
    said = shown(why.strip().encode("utf-8", "backslashreplace")[:200])
    message = f"{place} has no SFTP" + (f": {said}" if said else "")
    return Lacking(message, hint=NO_SFTP_HINT, lacks="no sftp") if clear else NotSupported(message, hint=NO_SFTP_HINT)
