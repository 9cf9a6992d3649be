"""What a configuration means depends on where it is read: the environment, the user, the folder of the file.

All of it comes in as arguments, so that a test (or `forged check` for another user) can say what the surroundings are.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A path that the surroundings give, and the environment variable that it comes from; None: it is always there."""

    path: Path
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment variables, the folder that relative paths start from (absolute), and whether we are root."""

    env: Mapping[str, str]
    folder: Path
    is_root: bool

    def expanded(self, text: str) -> Path:
        """An absolute path: `~` is $HOME, `$NAME` a variable, a relative path starts at the configuration file.

        `$CREDENTIALS_DIRECTORY/name` is how systemd hands over credentials. Raises ValueError for an unset variable.
        """
        if not text or "\0" in text:
            raise ValueError("a path is needed")
        if text == "~" or text.startswith("~/"):
            text = "$HOME" + text[1:]
        elif text.startswith("~"):
            raise ValueError("only `~/` of the own user is looked up: write the absolute path")
        try:
            return self.folder / string.Template(text).substitute(self._set_variables())
        except KeyError as e:
            raise ValueError(f"the environment variable {e.args[0]} is not set: set it, or write the path itself") from None
        except ValueError:
            raise ValueError("a `$` must be followed by the name of a variable; `$$` is a plain dollar sign") from None

    def state_dir(self) -> Place | None:
        """$STATE_DIRECTORY (systemd), /var/lib/forged as root, else below $XDG_STATE_HOME. None: no place is known."""
        if given := self._systemd("STATE_DIRECTORY"):
            return given
        if self.is_root:
            return Place(Path("/var/lib/forged"))
        # The second is the default that the XDG Base Directory Specification names.
        return self._below("XDG_STATE_HOME", "forged") or self._below("HOME", ".local/state/forged")

    def socket(self) -> Place:
        """$RUNTIME_DIRECTORY (systemd), below $XDG_RUNTIME_DIR unless root, else /run/forged.

        cron and `su` set neither, and `forged once` there needs no socket at all: a daemon that may not make it says so itself.
        """
        if given := self._systemd("RUNTIME_DIRECTORY"):
            return Place(given.path / "forged.sock", given.variable)
        own = None if self.is_root else self._below("XDG_RUNTIME_DIR", "forged/forged.sock")
        return own or Place(Path("/run/forged/forged.sock"))

    def media_base(self) -> Place | None:
        """$MEDIA_BASE, the default of `dest`."""
        return self._below("MEDIA_BASE", "")

    def log_dir(self) -> Path | None:
        """$LOG_BASE/sync, where rotating log files go when it is set."""
        place = self._below("LOG_BASE", "sync")
        return place.path if place else None

    def _set_variables(self) -> dict[str, str]:
        """An empty variable counts as unset: `$EMPTY/x` would silently be a path from the root of the disk."""
        return {name: value for name, value in self.env.items() if value}

    def _systemd(self, name: str) -> Place | None:
        """The first directory of a variable in which systemd.exec(5) lists them, colons between."""
        first = self.env.get(name, "").split(":")[0]
        return Place(Path(first), name) if first.startswith("/") else None

    def _below(self, name: str, path: str) -> Place | None:
        """The XDG specification tells to ignore relative paths; for ours, the folder they start from would be anyone's guess."""
        value = self.env.get(name, "")
        return Place(Path(value) / path, name) if value.startswith("/") else None
