"""What the answers of a shell mean. Read strictly: whatever is not exactly what the script prints is SourceBroken."""

from __future__ import annotations

import re
import stat as modes
from dataclasses import dataclass

from forged.model.errors import BadPath, Lacking, SourceBroken, SourceMissing
from forged.model.files import Problem, ProblemKind, Stat
from forged.model.paths import SourcePath, shown, source_path
from forged.model.places import Place
from forged.sources.shell.script import ACROSS, TRUE_SORT

_DATE = rb"-?\d{4,12}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.(\d{9}))? [+-]\d{4}"
LOOK = re.compile(rb"([0-9a-f]{1,8}) (\d{1,20}) (-?\d{1,15}) (\d{1,20}) %b (-?\d{1,15}) %b" % (_DATE, _DATE))
"""`stat -c` with the script's format: mode, size, mtime (seconds, and as text with nanoseconds where the tool has them), inode and
ctime likewise."""

BEAT = b"."
"""A sign of life: a line, or a record of a listing."""

MOST = (1 << 63) - 1
HINT = "install python3 (3.6 or newer) on the box, and forged's agent does everything there"

_WORDS = {b"G": ProblemKind.VANISHED, b"U": ProblemKind.UNREADABLE, b"L": ProblemKind.LINK}
_MESSAGES = {
    ProblemKind.VANISHED: "No such file or directory",
    ProblemKind.UNREADABLE: "it cannot be looked at",
    ProblemKind.LINK: "a folder of its path is a symbolic link",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A file's outside, and the words in which the shell told it."""

    line: bytes
    mode: int
    stat: Stat

    @property
    def is_regular(self) -> bool:
        return modes.S_ISREG(self.mode)

    @property
    def what_it_is(self) -> str:
        return "a symbolic link" if modes.S_ISLNK(self.mode) else "no regular file"

    @property
    def lasting(self) -> bytes:
        """The part of the line that stays the same when the file is renamed: all but its ctime."""
        return b" ".join(self.line.split(b" ")[:7])


def look(line: bytes) -> Look:
    """Raises SourceBroken."""
    match = LOOK.fullmatch(line)
    if match is None:
        raise SourceBroken(f"the shell says how a file looks in words that stat does not use: {shown(line[:120])}")
    return look_of(match)


def look_of(match: re.Match[bytes]) -> Look:
    """From a match of LOOK. Raises SourceBroken for numbers that no file has."""
    mode, size, mtime, inode, mtime_part, ctime, ctime_part = match.groups()
    size_bytes = int(size)
    if size_bytes > MOST:
        raise SourceBroken("the shell tells of a file that is larger than files can be")
    stat = Stat(size_bytes, _time_ns(mtime, mtime_part), int(inode) & MOST, _time_ns(ctime, ctime_part))
    return Look(match.group(), int(mode, 16), stat)


def _time_ns(seconds: bytes, part: bytes | None) -> int:
    return max(-MOST, min(MOST, int(seconds) * 10**9 + int(part or b"0")))


def looked(path: SourcePath, body: bytes) -> Look | Problem:
    """The answer to a look."""
    line = _line(body)
    kind = _WORDS.get(line)
    if kind is not None:
        return Problem(path, kind, _MESSAGES[kind])
    return look(line)


def placed(folder: bytes, body: bytes) -> Place | Problem:
    """Where a folder really is; a letter where there is none."""
    match = re.fullmatch(rb"(/.*)//\n(\d{1,20}) (\d{1,20})\n", body, re.DOTALL)
    if match is not None:
        if match.group(1) != b"/":
            _must_be_a_path(match.group(1)[1:])
        return Place(match.group(1), (int(match.group(2)) & MOST, int(match.group(3)) & MOST))
    kind = _WORDS.get(_line(body))
    if kind is None:
        raise SourceBroken("the shell says where a folder is in words that the script does not print")
    return Problem(folder, kind, "it is no folder, or a loop of links" if kind is ProblemKind.LINK else _MESSAGES[kind])


def _must_be_a_path(path: bytes) -> None:
    try:
        source_path(path)
    except BadPath as error:
        raise SourceBroken("the shell says that a folder is at a place that is no path") from error


def regular(path: SourcePath, body: bytes) -> Look | Problem:
    """The same, where only a regular file will do."""
    answer = looked(path, body)
    if isinstance(answer, Look) and not answer.is_regular:
        return Problem(path, ProblemKind.LINK, f"it is {answer.what_it_is}")
    return answer


def _line(body: bytes) -> bytes:
    if not body.endswith(b"\n"):
        raise SourceBroken("the shell broke off in the middle of an answer")
    return body[:-1]


def lines(body: bytes) -> list[bytes]:
    """Of an answer of several lines, without its signs of life."""
    return [line for line in _line(body).split(b"\n") if line != BEAT] if body else []


def sha256(line: bytes) -> bytes:
    """Of what `sha256sum` prints for its standard input. Raises SourceBroken."""
    match = re.fullmatch(rb"([0-9a-f]{64}) [ *]-", line)
    if match is None:
        raise SourceBroken("the shell answered something that is no sha256")
    return bytes.fromhex(match.group(1).decode())


def clock_ns(body: bytes) -> int:
    """`date +%s.%N`; busybox of old has no nanoseconds and prints the letters. Raises SourceBroken."""
    return time_ns(_line(body))


def time_ns(line: bytes) -> int:
    match = re.fullmatch(rb"(\d{1,10})\.(?:(\d{9})|%?N?)", line)
    if match is None:
        raise SourceBroken("the shell does not tell the time")
    return _time_ns(match.group(1), match.group(2))


@dataclass(frozen=True, slots=True)
class Tools:
    """What a shell has, and where the root really is."""

    root: bytes
    hashing: bool
    removing: bool
    across: bool
    """`dd` counts in bytes."""
    nanoseconds: bool
    """`stat` tells times to the nanosecond."""


def tools(root: bytes, body: bytes) -> Tools:
    """The first answer of a shell. Raises SourceMissing, and Lacking where something indispensable is missing."""
    if body in (b"G\n", b"U\n"):
        raise SourceMissing(f"{shown(root)}: " + ("No such file or directory" if body == b"G\n" else "it cannot be entered"))
    real, _, rest = body.partition(b"//\n")
    said = rest.split(b"\n")
    if not real.startswith(b"/") or len(said) < 4:
        raise SourceBroken("the shell did not say what it has")
    there = set(said[0].split())
    _must_have(there, said[1], said[2])
    match = LOOK.fullmatch(said[2])
    return Tools(
        real,
        b"sha256sum" in there,
        {b"mv", b"rm", b"ln", b"rmdir"} <= there,
        ACROSS in said[3:],
        match is not None and match.group(5) is not None,
    )


def _must_have(there: set[bytes], sorted_names: bytes, seen: bytes) -> None:
    missing = [name.decode() for name in (b"date", b"find", b"head", b"sort", b"stat", b"tail", b"xargs") if name not in there]
    if not missing and sorted_names != TRUE_SORT:
        missing = ["sort -z and xargs -0"]
    if not missing and LOOK.fullmatch(seen) is None:
        missing = ["find -print0 and stat -c"]
    if missing:
        raise Lacking(f"the box's shell lacks {', '.join(missing)}", hint=HINT, lacks="too few shell tools")
