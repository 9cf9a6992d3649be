"""Where the user is: the home and the folder that defaults are found in. Both can be missing, and that is said in words."""

from __future__ import annotations

from pathlib import Path

from forged.model.errors import ForgedError


def user_home() -> Path:
    """$HOME, else the home of the user database. Raises ForgedError: a container may run as a number that nobody has named."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise ForgedError(
            "this user has no home folder", hint="set $HOME to the folder whose .ssh and .config are to be used"
        ) from error


def here() -> Path:
    """The current folder. Raises ForgedError when it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise ForgedError("the current folder does not exist any more", hint="change to another folder") from error
