"""The folder of one tour: the box, home, keys, state and a real forged.toml, all in one place and gone with one `rm -r`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from forged.demo.producer import COMFYUI_OUTPUT, FORGE_OUTPUTS
from forged.demo.server import LOOPBACK, Served
from forged.model.errors import ForgedError

PROGRAMS: Mapping[str, tuple[str, str]] = {"forge": ("Forge", FORGE_OUTPUTS), "comfyui": ("ComfyUI", COMFYUI_OUTPUT)}
"""Target and type -> the program's name, and its folder on the box."""

SETTLE = "500ms"
"""Shorter than the default of two seconds, since the tour is short. Its films grow every 0.3 s. Only the poll waits so long:
what the watch saw closed comes at once."""

AGE = "2s"
"""How long files stay on the box: a day in real life. So short that the end of the tour can wait for the last ones."""

MAX_SOCKET_PATH_BYTES = 107
"""unix(7): sun_path holds 108 bytes, and the last one is NUL."""


class FolderNotEmpty(ForgedError):
    """The demo wants a folder of its own, and this one has something in it."""

    default_hint = "name another one with --dir, or delete it"


@dataclass(frozen=True, slots=True)
class Place:
    """One of the box's two programs, which is one target: where its files are, there and at home."""

    target: str
    program: str
    there: Path
    home: Path


@dataclass(frozen=True, slots=True)
class Grounds:
    """Where everything of one tour is."""

    root: Path

    @property
    def box(self) -> Path:
        return self.root / "box"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def log(self) -> Path:
        """What the box's generators complained about."""
        return self.root / "box.log"

    @property
    def ledger(self) -> Path:
        """What the box has made: a JSON line for each file (demo.producer.Made)."""
        return self.root / "box.jsonl"

    @property
    def sheet(self) -> Path:
        """The contact sheet of what came home."""
        return self.root / "contact-sheet.png"

    @property
    def daemon_log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def config_file(self) -> Path:
        return self.root / "forged.toml"

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(
            Place(target, program, self.box / folder, self.home / target) for target, (program, folder) in PROGRAMS.items()
        )

    def furnish(self) -> None:
        """Makes the folders of box and home."""
        for folder in (self.home, *(place.there for place in self.places)):
            folder.mkdir(parents=True)

    def configure(self, served: Served, socket: Path) -> None:
        """Writes forged.toml."""
        self.config_file.write_text(toml(self, served, socket), encoding="utf-8")

    @contextmanager
    def socket(self) -> Iterator[Path]:
        """Where the daemon may listen: in the folder, or where its path is too long for a socket, in a short-lived one."""
        inside = self.root / "forged.sock"
        if len(os.fsencode(inside)) <= MAX_SOCKET_PATH_BYTES:
            yield inside
            return
        with tempfile.TemporaryDirectory(prefix="forged-") as short:
            yield Path(short) / "s"

    def leave(self) -> bool:
        """Removes the folder if nothing ever happened in it; answers whether it stays."""
        for folder, _, files in os.walk(self.root, topdown=False):
            if files:
                return True
            os.rmdir(folder)
        return False


def grounds(wanted: Path | None) -> Grounds:
    """A new folder below the system's one for temporary files, or the wanted one. Raises FolderNotEmpty."""
    if wanted is None:
        return Grounds(Path(tempfile.mkdtemp(prefix="forged-demo-")))
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        if any(wanted.iterdir()):
            raise FolderNotEmpty(f"{wanted} is not empty")
    except OSError as e:
        raise FolderNotEmpty(f"{wanted} cannot be used: {e.strerror}") from e
    return Grounds(wanted.absolute())


def toml(place: Grounds, served: Served, socket: Path) -> str:
    """The configuration of the tour, as a person would write it."""
    return "\n".join([head(place, socket), *(target(one, place, served) for one in place.places)])


def head(place: Grounds, socket: Path) -> str:
    return f"""\
# Written by `forged demo`; its box is gone when the demo ends.
# For a box of your own: `forged probe ssh://user@host:port` prints a [[target]] to paste.

[daemon]
state_dir = {path(place.root / "state")}
socket = {path(socket)}
metrics = "{LOOPBACK}:0"
log_format = "text"

[transfer]
min_free = "50MB"

[media]
thumbnails = true
"""


def target(one: Place, place: Grounds, served: Served) -> str:
    address = f"ssh://{served.user}@{LOOPBACK}:{served.port}{quote(str(one.there))}"
    return f"""\
[[target]]
name = "{one.target}"
type = "{one.target}"
source = {json.dumps(address)}
dest = {path(place.home)}
layout = "{{target}}/{{folder}}/{{path}}"
identity_file = {path(served.identity_file)}
host_key = "{served.fingerprint}"
settle = "{SETTLE}"
poll = "1s"
[target.cleanup]
age = "{AGE}"
preserve = ["*.important"]
"""


def path(one: Path) -> str:
    """A path as a TOML string; `$` begins a variable there, so it is doubled."""
    return json.dumps(str(one).replace("$", "$$"))


def all_files(folder: Path) -> Sequence[Path]:
    """The regular files below a folder, relative to it, in order; forged's own are none of them: its marker folder and sidecars."""
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in found if file.parts[0] != ".forged" and file.suffix != ".xmp")
