"""Open files: how many this process may have."""

from __future__ import annotations

import resource

ENOUGH = 65_536
"""Sockets, folders and files of some thousand targets. The usual soft limit of 1,024 is one for programs that call select(2)
(systemd.exec(5) on LimitNOFILE=), and no part of this one does; the hard limit is mostly half a million."""


def allow_many_open_files() -> None:
    """Raises the soft limit as far as the hard one allows, up to `ENOUGH`. Processes started from now on inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
