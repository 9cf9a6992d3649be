"""What a program of the owner's is given of ours: the environment, without what systemd meant for the daemon alone."""

from __future__ import annotations

import os
from collections.abc import Mapping

OURS_ALONE = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
"""sd_notify(3), sd_listen_fds(3): a program that answers in the daemon's name keeps a dead one alive."""


def environment(handler: str, ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Of a process for the handler of that name."""
    return {**{name: value for name, value in ours.items() if name not in OURS_ALONE}, "FORGED_HANDLER": handler}
