"""Where a key stands: key path -> line, for TOML text that is known to be valid.

TOML parsers give values without places. This scanner follows the structure of TOML 1.0 (toml.io/en/v1.0.0) far enough to know
where each key begins, and leaves the meaning of values to the parser.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping

import tomli

KeyPath = tuple[str | int, ...]
"""Keys by name, elements of arrays by index: ("target", 0, "poll")."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' + r"|'''.*?'{3,5}" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'",
    re.DOTALL,
)  # a multi-line string may end in up to two quotes of its own, then the three that close it
_PLAIN_VALUE = re.compile(r"[^,\]}#\n]*")  # numbers, booleans and dates; a date may hold a space


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line (from 1) at which each key, table and array element first appears. `text` must be valid TOML."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of `path`, or of the nearest thing around it (a missing key has no line of its own); 1 if nothing is."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._last_element: dict[KeyPath, int] = {}
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        base: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                base = self._header()
            else:
                self._pair(base)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`: the path that the following keys hang below."""
        begin = self._at
        brackets = 2 if self._text.startswith("[[", begin) else 1
        self._at += brackets
        keys = self._dotted_key()
        self._at += brackets
        path: KeyPath = ()
        for i, key in enumerate(keys):
            path = (*path, key)
            if brackets == 2 and i == len(keys) - 1:
                self._last_element[path] = self._last_element.get(path, -1) + 1
            self._note(path, begin)
            if path in self._last_element:  # below an array of tables, its newest element is meant
                path = (*path, self._last_element[path])
                self._note(path, begin)
        return path

    def _pair(self, base: KeyPath) -> None:
        begin, path = self._at, base
        for key in self._dotted_key():
            path = (*path, key)
            self._note(path, begin)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _dotted_key(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            keys.append(self._simple_key())
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _simple_key(self) -> str:
        quoted = self._text[self._at] in "\"'"
        word = self._skip(_STRING if quoted else _BARE_KEY)
        return str(tomli.loads(f"key = {word}")["key"]) if quoted else word

    def _value(self, path: KeyPath) -> None:
        first = self._text[self._at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._skip(_STRING if first in "\"'" else _PLAIN_VALUE)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while self._next_item("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._next_item("}"):
            self._pair(path)

    def _next_item(self, end: str) -> bool:
        """Steps over a comma to the next item; over the closing bracket when there is none."""
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] != end:
            return True
        self._at += 1
        return False

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        skipped = match[0] if match else ""
        self._at += len(skipped)
        return skipped

    def _note(self, path: KeyPath, begin: int) -> None:
        self.lines.setdefault(path, bisect.bisect_left(self._line_ends, begin) + 1)
