"""Where boxes are asked for in the tests: one desk for each body of a discovery, all changed by hand in the same way."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from forged.discovery.base import Discovery
from forged.model.boxes import Box, BoxId, BoxState
from forged.model.settings import Secret
from forged.model.target import SourceAddress, SourceKind

KEY = "hush-hush-0123456789"

SECRETS = ("df77e27085bd4b3b", "export HF_TOKEN=", "sk-in-the-environment")
"""In every answer of a fake; they must be nowhere afterwards."""


class Trouble(enum.Enum):
    """Answers that are none."""

    FAILS = enum.auto()
    NOTHING = enum.auto()
    HTML = enum.auto()
    CUT = enum.auto()
    NAN = enum.auto()
    NOT_UTF8 = enum.auto()
    ANOTHER_SHAPE = enum.auto()
    DEEP = enum.auto()
    HANGS = enum.auto()
    ENDLESS = enum.auto()


class Odd(enum.Enum):
    """Boxes that are hardly understood, or not at all."""

    WRONG_KINDS = enum.auto()
    ONLY_AN_ID = enum.auto()
    BAD_ADDRESS = enum.auto()
    WITHOUT_ID = enum.auto()
    NOT_EVEN_AN_OBJECT = enum.auto()


@dataclass
class There:
    """What is there now: the same for every desk, which words it."""

    boxes: list[Box] = field(default_factory=list)
    odd: list[tuple[Odd, str]] = field(default_factory=list)
    trouble: Trouble | None = None


class Desk(Protocol):
    """Answers what is `there`."""

    there: There
    tells_ends: bool

    def discovery(self, label: str | None = None, *, hasty: bool = False) -> Discovery:
        """Asks here. `hasty`: with a deadline that is short enough to be waited for."""


def box(id: str, state: BoxState = BoxState.RUNNING, *, label: str | None = None, end_ns: int | None = None) -> Box:
    """A box as the tests put it somewhere; where it runs, it has an address of its own."""
    address = SourceAddress(SourceKind.SSH, "", f"10.0.{int(id) % 7}.{int(id) % 251 + 1}", "root", 20_000 + int(id) % 1000)
    addresses = (address,) if state in (BoxState.RUNNING, BoxState.UNKNOWN) else ()
    return Box(BoxId(id), state, addresses, label, end_ns)


def secret(folder: Path) -> Secret:
    """A file with KEY, as an editor leaves it."""
    file = folder / "api.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    return Secret(file=file)


def broken(trouble: Trouble, whole: bytes) -> bytes:
    """The body of an answer that is none, but for those that no body makes."""
    bodies = {
        Trouble.NOTHING: b" \n",
        Trouble.HTML: b"<!DOCTYPE html><html>Just a moment...</html>",
        Trouble.CUT: whole[: len(whole) // 2],
        Trouble.NAN: b"NaN",
        Trouble.NOT_UTF8: b'{"\xff\xfe": "\xff"}\n"\xff"',
        Trouble.ANOTHER_SHAPE: b'{"data": {"items": [[]]}}',
        Trouble.DEEP: b"[" * 100_000,
    }
    return bodies[trouble]
