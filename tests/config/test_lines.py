"""Where a key stands. The parser itself is the judge of which keys a text has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from forged.config.lines import KeyPath, key_lines, line_of

SAMPLE = """\
# a comment with [brackets] and = signs
[daemon]
metrics = ""   # off
"log level".'x' = "info"

[transfer]
text = \"\"\"
[not.a.table]
key = "no key"
ends with quotes\"\"\"\"\"
raw = '''
[[nor.this]]'''
in_flight = 1
[[target]]
name = "a # b"
exclude = [
  "x]", # comment ]
  'y,',
  [ { deep = 1 },
    2 ],
]
  [target.cleanup]
  age = "24h"
[[target]]
when = 1979-05-27 07:32:00
inline = { a = { b = [1, 2] }, "c.d" = 'e' }
  [target.cleanup]
  preserve.deep = true
  [[target.list]]
  one = 1
  [[target.list]]
  two = 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("daemon",), 2),
        (("daemon", "metrics"), 3),
        (("daemon", "log level", "x"), 4),
        (("transfer", "text"), 7),
        (("transfer", "raw"), 11),
        (("transfer", "in_flight"), 13),
        (("target",), 14),
        (("target", 0), 14),
        (("target", 0, "exclude", 0), 17),
        (("target", 0, "exclude", 1), 18),
        (("target", 0, "exclude", 2, 0, "deep"), 19),
        (("target", 0, "exclude", 2, 1), 20),
        (("target", 0, "cleanup", "age"), 23),
        (("target", 1, "when"), 25),
        (("target", 1, "inline", "a", "b", 1), 26),
        (("target", 1, "inline", "c.d"), 26),
        (("target", 1, "cleanup", "preserve", "deep"), 28),
        (("target", 1, "list", 1, "two"), 32),
    ],
)
def test_each_key_of_the_sample_has_its_line(path: KeyPath, line: int) -> None:
    assert key_lines(SAMPLE)[path] == line


def test_windows_line_ends_change_nothing() -> None:
    text = '[a]\nb = """x\ny"""\n[[c]]\nd = [\n1,\n2]\n'
    assert key_lines(text.replace("\n", "\r\n")) == key_lines(text)


def test_a_path_without_a_line_gets_the_one_around_it() -> None:
    lines = key_lines("\n[a]\n[a.b]\n")
    assert line_of(lines, ("a", "b", "missing")) == 3
    assert line_of(lines, ("nowhere",)) == 1


def paths(value: object, base: KeyPath = ()) -> Iterator[KeyPath]:
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield (*base, key)
        yield from paths(child, (*base, key))


KEYS = st.text(alphabet='ab-_0.# "\\[]=\té', min_size=0, max_size=4)
TEXTS = st.text(alphabet="ab'\"\\\n[]{}#=,. é", max_size=8)
LEAVES = st.integers(-5, 5) | st.booleans() | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)
DOCUMENTS = st.dictionaries(KEYS, st.one_of(VALUES, TABLES, st.lists(TABLES, min_size=1, max_size=3)), max_size=4)


class Writer:
    """Writes TOML in many styles, as hypothesis draws them, and notes the line of each key as it goes."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def filler(self) -> None:
        self.text += self.draw(st.sampled_from(["", "\n", "# [x]\n", "  ", "\t\n\n"]))

    def key(self, key: str) -> str:
        bare = re.fullmatch(r"[A-Za-z0-9_-]+", key) and self.draw(st.booleans())
        return key if bare else json.dumps(key, ensure_ascii=False).replace("\t", "\\t")

    def value(self, value: object, path: KeyPath) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for i, (key, child) in enumerate(value.items()):
                self.text += ", " if i else " "
                self.pair(key, child, path)
            self.text += " }"
        elif isinstance(value, list):
            self.text += "["
            for i, child in enumerate(value):
                self.filler()
                self.note((*path, i))
                self.value(child, (*path, i))
                self.text += ","
            self.filler()
            self.text += "]"
        else:
            self.text += self.leaf(value)

    def leaf(self, value: object) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        styles = [json.dumps(value, ensure_ascii=False), '"""\n' + value.replace("\\", "\\\\").replace('"""', '""\\"') + '"""']
        if "'" not in value:
            styles.append(f"'''{value}'''")
            styles += [] if "\n" in value else [f"'{value}'"]
        return self.draw(st.sampled_from(styles))

    def pair(self, key: str, value: object, base: KeyPath) -> None:
        self.note((*base, key))
        self.text += self.key(key) + self.draw(st.sampled_from([" = ", "=", "\t= "]))
        self.value(value, (*base, key))

    def table(self, table: dict[str, object], base: KeyPath) -> None:
        for key, value in table.items():
            self.filler()
            self.pair(key, value, base)
            self.text += self.draw(st.sampled_from(["\n", " # end\n", "\n\n"]))

    def document(self, document: dict[str, object]) -> None:
        as_tables = {key for key, value in document.items() if isinstance(value, dict) and self.draw(st.booleans())}
        as_arrays = {
            key
            for key, value in document.items()
            if isinstance(value, list) and value and all(isinstance(v, dict) for v in value) and self.draw(st.booleans())
        }
        self.table({key: value for key, value in document.items() if key not in as_tables | as_arrays}, ())
        for key in sorted(as_tables | as_arrays):
            value = document[key]
            for i, table in enumerate(value) if isinstance(value, list) else [(None, value)]:
                assert isinstance(table, dict)
                self.filler()
                path: KeyPath = (key,) if i is None else (key, i)
                self.note((key,))
                self.note(path)
                quoted = self.key(key)
                self.text += f"[{quoted}]\n" if i is None else f"[[ {quoted} ]]\n"
                self.table(table, path)


@given(st.data(), DOCUMENTS)
def test_every_key_of_any_text_is_found_on_its_line(data: st.DataObject, document: dict[str, object]) -> None:
    writer = Writer(data)
    writer.document(document)
    found = key_lines(writer.text)
    assert set(found) == set(paths(tomli.loads(writer.text)))
    assert found == writer.lines
