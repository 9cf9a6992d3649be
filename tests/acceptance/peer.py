"""What the tests of a peer's faults share: boxes with old files, a daemon that does only what it is asked, and what it remembers.

The peer is the program of the seed document: a web service around `ssh find` and `rsync`, with a JSON file for a memory and a
clean-up by age. Where its code is known, the docstrings of the tests say what it does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, daemon
from tests.support.site import tree
from tests.support.sshd import Sshd, sshd

ONLY_WHEN_ASKED = 'watch = "off"\npoll = "1h"\nsettle = "0s"\nretry_attempts = 0\n'
"""Nothing happens by itself, so that a test can put something between two steps."""

CLEANED = ONLY_WHEN_ASKED + '{}[target.cleanup]\nage = "0s"\nevery = "1h"\npreserve = ["*.important"]\n'
"""Whatever is beyond doubt may go at once. In the braces: further lines of the target."""

DAY_S = 86_400


@contextmanager
def own(lines: str = CLEANED.format("")) -> Iterator[tuple[Sshd, Daemon]]:
    """A box that may be stopped or get another key, and its daemon."""
    with sshd() as server, daemon(server, box=lines) as made:
        yield server, made


def write(house: Daemon, target: str, *names: str, size_bytes: int = 1_000) -> dict[str, bytes]:
    """Random files at the box, ten days old as far as their mtime tells."""
    made = {name: os.urandom(size_bytes) for name in names}
    for name, data in made.items():
        path = house.box(target) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        age(path, 10)
    return made


def age(path: Path, days: float) -> None:
    then_s = time.time() - days * DAY_S
    os.utime(path, (then_s, then_s))


def names(folder: Path) -> set[str]:
    """Of all files below, but for forged's own."""
    return {os.fsdecode(path) for path in tree(folder)}


def states(house: Daemon, target: str) -> dict[str, str]:
    """What is remembered: where the box's copy of each file is."""
    return {row["path"]: row["state"] for row in pages(house, target)}


def pages(house: Daemon, target: str) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = house.call("manifest.list", target=target, limit=500, **cursor)
        yield from page["files"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def clean(house: Daemon, target: str) -> tuple[set[str], dict[str, str]]:
    """One cleanup: what went, and why the others stay."""
    answer = house.call("cleanup.run", target=target)
    return {row["path"] for row in answer["removed"]}, {row["path"]: row["why"] for row in answer["kept"]}
