"""No daemon answers: what its configuration says of that. Reads only, and only what this user may read."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from forged.cli.places import here, user_home
from forged.control.client import NoDaemon
from forged.model.errors import ConfigError, ForgedError
from forged.model.settings import Config

MISTAKES_SHOWN = 3
"""`forged check` tells all of them."""


def explained(error: NoDaemon, tried: Sequence[str]) -> NoDaemon:
    """The same, with the mistakes that keep forged from starting, or with the socket that it would listen on instead of those that
    were `tried`; as it was where the configuration cannot be found or read."""
    from forged.config import load  # pydantic: half of a second that nobody waits for while a daemon runs

    try:
        file = load.find(None, os.environ, here(), user_home())
    except ForgedError:
        return error
    if not os.access(file, os.R_OK):
        return error
    try:
        config = load.load(file, os.environ, is_root=os.geteuid() == 0)
    except ConfigError as mistakes:
        return _mistaken(error, file, mistakes.problems)
    return _right(error, config, tried)


def _mistaken(error: NoDaemon, file: Path, mistakes: Sequence[str]) -> NoDaemon:
    more = len(mistakes) - MISTAKES_SHOWN
    lines = [f"{error.message}", f"with a mistake in {file} it does not start:", *mistakes[:MISTAKES_SHOWN]]
    lines += [f"and {more} more"] if more > 0 else []
    return NoDaemon("\n".join(lines), hint="mend it (`forged check` says whether it is right), then: systemctl start forged")


def _right(error: NoDaemon, config: Config, tried: Sequence[str]) -> NoDaemon:
    socket = str(config.daemon.socket)
    if socket not in tried:
        return NoDaemon(
            error.message, hint=f"{config.path} has it listen elsewhere: forgectl --socket {shlex.quote(socket)} status"
        )
    starts = "`systemctl start forged` or `forged run` starts one, `journalctl -u forged` says why it does not stay"
    return NoDaemon(error.message, hint=f"{config.path} is right (`forged check --connect` tries all that it names); {starts}")
