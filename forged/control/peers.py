"""Who is at the other end, and what they may do. The kernel says it: SO_PEERCRED and SO_PEERGROUPS (unix(7), socket(7)).

Under systemd's PrivateUsers=yes every foreign uid and gid shows up as 65534, so the unit must leave that setting out.
"""

from __future__ import annotations

import enum
import socket
import struct
from dataclasses import dataclass
from typing import Protocol

from forged.control.errors import NotPermitted

_UCRED = struct.Struct("=iII")
"""struct ucred of unix(7): pid, uid, gid."""

_SO_PEERGROUPS = 59
"""From asm-generic/socket.h, since Linux 4.13; Python has no name for it."""

_GROUPS_MOST_BYTES = 1024
"""Python (3.11 to 3.14) reads no longer socket option: 256 groups of 4 bytes."""


class Level(enum.IntEnum):
    """What a method asks of its caller. A higher level includes the lower ones."""

    LOOK = 0
    """Everyone whom the socket's mode admits."""
    STEER = 1
    """Members of the socket's group: acts on configured targets."""
    ADMIN = 2
    """Root and the daemon's own user: decides what is configured, trusted, and where files go."""


_WHO = {
    Level.LOOK: "everyone",
    Level.STEER: "the socket's group, root or the user that forged runs as",
    Level.ADMIN: "root or the user that forged runs as",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, as it was at that moment. `pid` is 0 where the kernel cannot show it (another namespace)."""

    uid: int
    gid: int
    pid: int
    groups: frozenset[int]
    level: Level

    def require(self, level: Level, what: str) -> None:
        """Raises NotPermitted when this peer may not do `what`."""
        if self.level < level:
            raise NotPermitted(hint=f"{what} is for {_WHO[level]}; you are uid {self.uid}")


class PeerSocket(Protocol):
    """As much of a connected socket as asyncio and uvloop hand out."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """The rule: root and `own_uid` may all, the socket's group may steer, the others look."""

    own_uid: int
    group: int

    def peer(self, connected: PeerSocket) -> Peer:
        """Asks the kernel who has connected. Raises OSError."""
        pid, uid, gid = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        groups = _groups(connected)
        return Peer(uid, gid, pid, groups, self.level(uid, groups | {gid}))

    def level(self, uid: int, groups: frozenset[int]) -> Level:
        if uid in (0, self.own_uid):
            return Level.ADMIN
        return Level.STEER if self.group in groups else Level.LOOK


def _groups(connected: PeerSocket) -> frozenset[int]:
    """The supplementary groups; none where there are more than Python can read: such a peer steers by its first group only."""
    try:
        raw = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_MOST_BYTES)
    except OSError:
        return frozenset()
    return frozenset(struct.unpack(f"={len(raw) // 4}I", raw))
