"""Where a file lands: the layout, filled in for one file.

`{folder}` is the configured folder that holds the file (the longest, if several do); without one it is the first folder of the
path, and empty for a file at the top. `{path}` is what follows below that folder, the name included. `{name}` is the file's name
alone, `{target}` the target's, `{date:%Y-%m-%d}` the day of its last write, in UTC by the source's clock, so that the same file
has the same place on every machine. Empty pieces collapse: the default, `{folder}/{path}`, is the path at the source.

Two files may get one name by a layout; the second then lands as a version beside the first, as everywhere (promise 2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from string import Formatter

from forged.model.paths import MAX_COMPONENT_BYTES, HomePath, SourcePath, below
from forged.model.target import NamesMode, TargetName
from forged.rules.names import MAX_HOME_BYTES, path_to_home, to_home
from forged.rules.selection import folder_path

PLACEHOLDERS = ("target", "folder", "path", "name", "date")
"""All that a layout may ask for."""

_DATE_FORMAT = re.compile(r"(?:%[YmdHMSjyGVu]|[^%\0])+")
"""Only directives of C89 and ISO 8601 that give digits, the same in every locale."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Placement:
    """The layout of one target, one that `check_layout` accepts.

    Asked about 100,000 files in a round, mostly those of one folder after each other, it makes what they share only once.
    """

    def __init__(self, target_name: TargetName, layout: str, names_mode: NamesMode, folders: Sequence[str]) -> None:
        self._target = _bytes(target_name)
        self._pieces = [(_bytes(literal), field, spec) for literal, field, spec, _ in Formatter().parse(layout)]
        self._mode = names_mode
        self._folders = [folder_path(folder) for folder in folders]
        self._one_for_all = not {field for _, field, _ in self._pieces[:-1]} & {"path", "name", "date"}
        self._folder: bytes | None = None
        self._above: bytes | None = None
        self._beginning = b""

    def place(self, path: SourcePath, mtime_ns: int) -> HomePath:
        """The home of one file. Total: any path and any time have a place."""
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self._enter(folder)
        if self._above is None:
            return path_to_home(self._filled(path, mtime_ns), self._mode)
        return below(self._above, to_home(self._beginning + name, self._mode))

    def _enter(self, folder: bytes) -> None:
        """What comes before the names of a folder's files; `_above` is None where each has to be placed by itself."""
        self._folder, self._above = folder, None
        if self._one_for_all:
            filled = self._filled(folder + b"/x" if folder else b"x", 0).removesuffix(b"x")
            above, _, self._beginning = filled.rpartition(b"/")
            self._above = path_to_home(above, self._mode) if above.strip(b"/") else b""
            if len(self._above) + 1 + MAX_COMPONENT_BYTES > MAX_HOME_BYTES:
                self._above = None

    def _filled(self, path: bytes, mtime_ns: int) -> bytes:
        """The layout with the words of one file."""
        folder, rest = self._divided(path)
        values = {"target": self._target, "folder": folder, "path": rest, "name": path.rpartition(b"/")[2], None: b""}
        return b"".join(
            literal + (_bytes(_moment(mtime_ns).strftime(spec or "")) if field == "date" else values[field])
            for literal, field, spec in self._pieces
        )

    def _divided(self, path: bytes) -> tuple[bytes, bytes]:
        holding = [folder for folder in self._folders if folder and path.startswith(folder + b"/")]
        if holding:
            folder = max(holding, key=len)
            return folder, path[len(folder) + 1 :]
        first, slash, rest = path.partition(b"/")
        return (first, rest) if slash else (b"", first)


def check_layout(layout: str) -> str | None:
    """What is wrong with a layout, and what to do; None where it can be used."""
    try:
        parsed = list(Formatter().parse(layout))
    except ValueError:
        return "has an unmatched brace; write a literal brace twice: {{ or }}"
    for _, field, spec, conversion in parsed:
        if field is not None and (wrong := _wrong_field(field, spec or "", conversion)):
            return wrong
    if not parsed or parsed[-1][1] not in ("path", "name"):
        return "must end with {path} or {name}, so that a file keeps its name and its suffix"
    return _wrong_place(layout)


def _wrong_field(field: str, spec: str, conversion: str | None) -> str | None:
    if field not in PLACEHOLDERS:
        return f"knows no {{{field}}}; use one of " + " ".join(f"{{{known}}}" for known in PLACEHOLDERS)
    if conversion or (spec and field != "date"):
        return f"takes {{{field}}} without anything after the name"
    if field == "date" and not _DATE_FORMAT.fullmatch(spec):
        return "needs the format of the date in digits, as in {date:%Y-%m-%d} (also %H %M %S %j %y %G %V %u)"
    return None


def _wrong_place(layout: str) -> str | None:
    if layout.startswith("/"):
        return "begins with /, but is a place below dest; write it without"
    if "\0" in layout or any(part in (".", "..") for part in layout.split("/")):
        return "may not contain the folders . and .. or a NUL character"
    return None


def _moment(mtime_ns: int) -> datetime:
    """In UTC. A clock at a source may say anything: what Python has no date for becomes 1970, which is easy to find."""
    try:
        return _EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return _EPOCH


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
