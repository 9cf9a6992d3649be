"""The Python that runs this, as people name it in a shell."""

from __future__ import annotations

import shlex
import sys


def install_command(package: str) -> str:
    """What brings a package to it: another Python's pip would bring it elsewhere."""
    return f"{shlex.quote(sys.executable)} -m pip install {package}"
