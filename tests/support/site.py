"""A user's machine for acceptance tests: a source folder behind a real sshd, a home, a forged.toml, and the real command."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.sshd import Sshd

COMMAND = [sys.executable, "-m", "forged"]


@dataclass
class Site:
    """`extra` are further lines of the first [[target]]; more targets may be appended to `config`."""

    root: Path
    sshd: Sshd
    names: str = "exact"
    extra: str = ""
    others: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.source, self.home, self.user_home / ".ssh"):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def source(self) -> Path:
        return self.root / "box" / "outputs"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def user_home(self) -> Path:
        return self.root / "user"

    @property
    def config(self) -> Path:
        path = self.root / "forged.toml"
        path.write_text(f"""
[daemon]
state_dir = "{self.root}/state"
[transfer]
min_free = "1MB"
[[target]]
name = "box"
source = "{self.sshd.url(self.source)}"
dest = "{self.home}"
identity_file = "{self.sshd.identity}"
names = "{self.names}"
settle = "0s"
retry_delay = "100ms"
{self.extra}
{self.others}
""")
        return path

    @property
    def environment(self) -> dict[str, str]:
        hidden = {"SSH_AUTH_SOCK", "MEDIA_BASE", "LOG_BASE", "FORGED_CONFIG"}
        kept = {key: value for key, value in os.environ.items() if key not in hidden}
        return kept | {"HOME": str(self.user_home), "PYTHONUNBUFFERED": "1"} | self.env

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [*COMMAND, "-c", str(self.config), *arguments]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, status: int = 0) -> str:
        """The command's standard output; fails the test when it ends with another status."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == status, f"exit {process.returncode}, not {status}:\n{out[-3000:]}\n{err[-3000:]}"
        return out

    def once(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """`forged once --json`: the answer for the first target."""
        return json.loads(self.run("once", "--json", *arguments, status=status))["targets"][0]  # type: ignore[no-any-return]


def tree(root: Path) -> dict[bytes, tuple[str, int]]:
    """Every file below `root` but forged's own folder: relative path to (sha256, mtime_ns)."""
    top = os.fsencode(root)
    found: dict[bytes, tuple[str, int]] = {}
    for folder, folders, files in os.walk(top):
        if folder == top and b".forged" in folders:
            folders.remove(b".forged")
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[os.path.relpath(path, top)] = (digest, os.stat(path).st_mtime_ns)
    return found


def contents(root: Path) -> dict[str, str]:
    """The same as text, without times: path to sha256."""
    return {os.fsdecode(path): sha256 for path, (sha256, _) in tree(root).items()}


def staged(home: Path) -> list[Path]:
    """What lies in forged's staging area."""
    return [path for path in (home / ".forged" / "staging").rglob("*") if path.is_file()]


NASTY = [
    b"new\nline.png",
    b"pipe|pipe.png",
    b"'quote\" both`.png",
    b"-rf",
    b"--help",
    b"x" * 251 + b".png",
    b"\xff\xfe\x80.png",
    b"~",
    b"~root",
    b"100%.png",
    b"%41.png",
    b"%0a.png",
    b"back\\slash.png",
    b" leading and trailing ",
    b"$(reboot).png",
    b"a\x1b[31mred.png",
    b"tab\there.png",
    b"CON",
    b"nul.txt",
    b"dot.",
    b"colon:colon.png",
    b"\xc3\xa9.png",
    b"e\xcc\x81.png",
    b".hidden",
]


def grow(root: Path, files: int, folders: int, most_bytes: int, seed: int = 1) -> None:
    """A tree like the ones people have, and unlike: files of 0 to `most_bytes` in nested folders, nasty names among them."""
    chance = random.Random(seed)
    places = [os.fsencode(root)]
    for n in range(folders):
        place = os.path.join(chance.choice(places[-4:]), NASTY[n % 3] + b"d%d" % n if n % 5 == 0 else b"folder%d" % n)
        os.makedirs(place[:3_000], exist_ok=True)
        places.append(place)
    for n in range(files):
        name = NASTY[n] if n < len(NASTY) else b"%05d-%d.png" % (n, chance.getrandbits(32))
        size = 0 if n % 100 == 7 else min(int(chance.expovariate(12 / most_bytes)), most_bytes)
        path = os.path.join(chance.choice(places) if n >= len(NASTY) else places[n % 2], name)
        with open(path, "wb") as file:
            file.write(chance.randbytes(size))
        old_ns = 1_700_000_000_000_000_000 + chance.getrandbits(55)
        os.utime(path, ns=(old_ns, old_ns))
