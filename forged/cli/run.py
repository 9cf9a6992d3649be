"""`forged run`: the daemon in the foreground. All of its life is in forged.daemon.main; here it only gets to know where it is."""

from __future__ import annotations

import os
from pathlib import Path

from forged.cli.places import here, user_home
from forged.config import load
from forged.daemon.main import run_daemon


def run(file: Path | None) -> int:
    """Runs until SIGTERM or SIGINT; answers the exit status. Raises ConfigError when no configuration is found."""
    home = user_home()
    found = load.find(file, os.environ, here(), home)
    # Absolute, because a reload reads it again, and says its name to somebody who stands elsewhere.
    return run_daemon(found.absolute(), os.environ, home)
