"""What time it is at a box that speaks only SFTP, which has no word for it.

Linux tells in two files that SFTP can read: `btime` of /proc/stat, the second in which the box started by its present clock, and
/proc/uptime, the seconds since then (proc(5)). `btime` is rounded down, so their sum is late by less than a second, never early;
one second more is taken off because SFTP's times are whole seconds, too, and a file must never look older than it is.

A server that shows no /proc (a chroot, another system) leaves our own clock, less what the box's may be behind it. Then files of
the last minutes are settled by two looks of ours instead of by their age, and cleanup waits some minutes longer; besides, it counts
from the landing at home as well, by our clock, so that a box whose clock is further off cannot make a file look old.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from forged.model.errors import SourceBroken
from forged.sources.sftp.lane import SftpLane
from forged.sources.sftp.wire import NANO, Code, Refused

DOUBT_S = 300
"""How far a box's clock may be behind ours where nothing tells: as much as Kerberos lets clocks differ (RFC 4120, section 8.2)."""

MOST_BYTES = 512 << 10
"""Of /proc/stat, up to its `btime`: 96 bytes and more for each processor, and a number for each interrupt."""

BTIME = re.compile(rb"^btime ([0-9]{1,12})$", re.MULTILINE)
UPTIME = re.compile(rb"([0-9]{1,12})\.([0-9]{2}) ")


def box_time_ns(stat: bytes, uptime: bytes) -> int | None:
    """The time at the box, not a moment too late, as far as whole seconds can be compared with it; None where nothing tells."""
    began, since = BTIME.search(stat), UPTIME.match(uptime)
    if began is None or since is None:
        return None
    return (int(began[1]) + int(since[1]) - 1) * NANO + int(since[2]) * (NANO // 100)


async def clock_ns(lane: SftpLane, ours_ns: Callable[[], int]) -> int:
    """The box's time of day, rather late than early. `ours_ns`: our own clock."""
    told_ns = await told_clock_ns(lane)
    return ours_ns() - DOUBT_S * NANO if told_ns is None else told_ns


async def told_clock_ns(lane: SftpLane) -> int | None:
    """The same, by the box's own word; None where it tells none."""
    stat, uptime = await asyncio.gather(_content(lane, b"/proc/stat", BTIME), _content(lane, b"/proc/uptime", UPTIME))
    return box_time_ns(stat, uptime)


async def _content(lane: SftpLane, path: bytes, wanted: re.Pattern[bytes]) -> bytes:
    """The beginning of a file, until what is wanted was found; b"" where it cannot be read."""
    opened, content = lane.open(path), b""
    try:
        handle = await opened
        while len(content) < MOST_BYTES and not wanted.search(content):
            data = await lane.read(handle, len(content), lane.read_bytes)
            if not 0 < len(data) <= lane.read_bytes:
                raise SourceBroken("the SFTP server sent another number of bytes than it was asked for")
            content += data
    except Refused as error:
        return content if error.code is Code.EOF else b""
    finally:
        lane.close_handle(opened)
    return content
