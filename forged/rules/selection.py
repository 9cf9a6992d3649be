"""Which files of a source are wanted (`folders`, `include`, `exclude`, `max_size`) and which may change in place (`mutable`).

Patterns are gitignore's, relative to the source path, matched by `pathspec`: `*.tmp` on every level, `/logs` only at the top,
`thumbnails/` a folder and all below it, `!` takes back what an earlier pattern said. Of several patterns the last one that
matches decides. How long a file has to be left alone (`min_age`) is the business of settle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pathspec import GitIgnoreSpec
from pathspec.pattern import RegexPattern

from forged.model.files import Entry
from forged.model.paths import SourcePath, source_path
from forged.model.target import Selection


class Selector:
    """A compiled Selection. Asked about 100,000 paths in a round, so nothing is compiled twice.

    Making one raises ValueError for a pattern that gitignore does not know; `check_patterns` says so beforehand.
    """

    def __init__(self, selection: Selection) -> None:
        self._below = tuple(folder + b"/" for folder in map(folder_path, selection.folders) if folder)
        self._every_folder = not selection.folders or b"" in map(folder_path, selection.folders)
        self._include = _compiled(selection.include)
        self._exclude = _compiled(selection.exclude)
        self._mutable = _compiled(selection.mutable)
        self._max_size_bytes = selection.max_size_bytes

    def wants(self, entry: Entry) -> bool:
        """Whether this file shall come home: a selected path, and not over `max_size`."""
        return self.selects(entry.path) and not self.is_too_large(entry)

    def wants_each(self, entries: Sequence[Entry]) -> list[bool]:
        """`wants` of each. Where none matches a pattern, as mostly, one look at all of them together sees that."""
        plain = self._every_folder and self._include is None and self._max_size_bytes is None
        if plain and (self._exclude is None or not self._exclude.may_match([entry.path for entry in entries])):
            return [True] * len(entries)
        return [self.wants(entry) for entry in entries]

    def selects(self, path: SourcePath) -> bool:
        """Whether the path is in one of `folders` (none = all), matches `include` (none = all) and does not match `exclude`."""
        if not (self._every_folder or path.startswith(self._below)):
            return False
        return (self._include is None or self._include.match(path)) and not (self._exclude and self._exclude.match(path))

    def is_too_large(self, entry: Entry) -> bool:
        """Whether the file is over `max_size`: worth telling, unlike a path that nobody selected."""
        return self._max_size_bytes is not None and entry.stat.size_bytes > self._max_size_bytes

    def is_mutable(self, path: SourcePath) -> bool:
        """Whether the owner said that this file grows or is rewritten in place, so that its copy at home may be replaced."""
        return self._mutable is not None and self._mutable.match(path)


class Preserved:
    """Compiled `preserve` patterns of a cleanup. Making one raises ValueError as a Selector does."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._spec = _compiled(patterns)

    def matches(self, path: SourcePath) -> bool:
        """Whether the owner wants this file to stay at the source."""
        return self._spec is not None and self._spec.match(path)


def check_patterns(patterns: Iterable[str]) -> str | None:
    """What is wrong with the first pattern that cannot be used, and what to do; None where all are well."""
    for pattern in patterns:
        try:
            _compiled([pattern])
        except ValueError:
            return f"{pattern!r} is no gitignore pattern; write a literal `!` or `\\` at its place as `\\!` or `\\\\`"
    return None


def folder_path(folder: str) -> bytes:
    """A configured folder as the beginning of source paths: no `/` or `./` around it. Empty for the source path itself."""
    parts = folder.encode("utf-8", "surrogateescape").split(b"/")
    return b"/".join(part for part in parts if part not in (b"", b"."))


def folders_to_list(asked: Sequence[str], selection: Selection) -> list[SourcePath]:
    """The folders to look at: those asked for, else the configured ones; empty = everything. Raises BadPath."""
    paths = [folder_path(folder) for folder in asked or selection.folders]
    return [] if b"" in paths else [source_path(path) for path in paths]


def strangers(asked: Sequence[str], selection: Selection) -> list[str]:
    """Those of the folders asked for in which nothing is wanted: no configured folder is in them, nor are they in one."""
    wanted = [folder_path(folder) + b"/" for folder in selection.folders]
    if not wanted or b"/" in wanted:
        return []
    paths = {folder: (folder_path(folder) + b"/").lstrip(b"/") for folder in asked}
    return [folder for folder, path in paths.items() if not any(path.startswith(one) or one.startswith(path) for one in wanted)]


class _Patterns:
    """Compiled patterns of one list."""

    def __init__(self, spec: GitIgnoreSpec) -> None:
        self._spec = spec
        self._any = _one_for_all(spec)
        self._any_line = re.compile(self._any.pattern, re.MULTILINE)

    def may_match(self, paths: Sequence[SourcePath]) -> bool:
        """False only if none of the paths matches. They are looked at as the lines of one text: what matches a line by itself
        matches it there."""
        text = b"\n".join(paths).decode("utf-8", "surrogateescape")
        return text.count("\n") >= max(len(paths), 1) or self._any_line.search(text) is not None

    def match(self, path: SourcePath) -> bool:
        """As gitignore decides. Most paths match no pattern at all, which one expression for all sees in a quarter of the time."""
        text = _matchable(path)
        return self._any.search(text) is not None and self._spec.match_file(text)


_NAMED_SLASH = "(?P<ps_d>/)"
"""Stands in pathspec's expressions (1.0 and 1.1); a name may be given only once in an expression. In a pattern it cannot stand: `/`
there divides, and brackets are quoted."""


def _one_for_all(spec: GitIgnoreSpec) -> re.Pattern[str]:
    """Finds something in every path that any of the patterns matches. In every path, should pathspec write them another way."""
    expressions = [each.regex.pattern for each in spec.patterns if isinstance(each, RegexPattern) and each.regex is not None]
    try:
        return re.compile("|".join(text.replace(_NAMED_SLASH, "/") for text in expressions) or "(?!)")
    except re.error:
        return re.compile("")


def _compiled(patterns: Iterable[str]) -> _Patterns | None:
    """None for no patterns. Only Python's `re` as backend: the others cannot take names that are not UTF-8. Raises ValueError."""
    lines = list(patterns)
    try:
        return _Patterns(GitIgnoreSpec.from_lines(lines, backend="simple")) if lines else None
    except re.error as e:
        raise ValueError(f"a character range of these patterns makes no sense: {lines!r}") from e


def _matchable(path: SourcePath) -> str:
    """Text for `pathspec`. Its expressions let `.` stand for any character but newline and `$` for the place before a last one,
    so with a newline in its name a file would slip past `exclude`; as another control character it does not."""
    return path.decode("utf-8", "surrogateescape").replace("\n", "\r")
