"""The man pages name every command, option and key, and the programs that read such pages have nothing to say against them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from forged.cli.forgectl import cli as forgectl
from forged.cli.forged import cli as forged
from forged.cli.manpages import TOLD_ONCE, commands, example, pages, tables, undated, write
from forged.cli.roff import definition, text
from tests.house.tree import ROOT

NAMES = ["man1/forged.1", "man1/forgectl.1", "man5/forged.toml.5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("man")
    assert [str(path.relative_to(place)) for path in write(place)] == NAMES
    return place


def read(page: Path) -> str:
    """As a person reads it, in plain text."""
    done = subprocess.run(["mandoc", "-Tutf8", "-Owidth=200", str(page)], capture_output=True, text=True, check=True)
    return re.sub(".\b", "", done.stdout)  # bold is struck twice


@pytest.mark.parametrize("name", NAMES)
def test_mandoc_and_groff_find_nothing_wrong(folder: Path, name: str) -> None:
    for program in (["mandoc", "-Tlint", "-Wwarning"], ["groff", "-man", "-ww", "-z", "-Kutf8"]):
        done = subprocess.run([*program, str(folder / name)], capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), program


def told(program: click.Group) -> Iterator[tuple[str, list[str]]]:
    """Each command, and the names of its options."""
    for path, command, context in commands(program, click.Context(program)):
        options = [one for one in command.get_params(context) if isinstance(one, click.Option) and one.name not in TOLD_ONCE]
        yield path, [name for one in options for name in one.opts]


@pytest.mark.parametrize(("name", "program"), [("forged", forged), ("forgectl", forgectl)])
def test_every_command_and_every_option_is_told(folder: Path, name: str, program: click.Group) -> None:
    page = read(folder / f"man1/{name}.1")
    whole = dict(told(program))
    assert len(whole) > 5
    for path, options in whole.items():
        after = page.split(f"\n   {path}\n", 1)
        assert len(after) == 2, path
        section = re.split(r"\n   \w|\n\w", after[1])[0]
        assert all(re.search(rf"(?m)^ .*{re.escape(option)}\b", section) for option in options), (path, options, section)


def test_every_key_of_the_configuration_is_told_with_what_it_means(folder: Path) -> None:
    page = read(folder / "man5/forged.toml.5")
    keys = re.findall(r"(?m)^#?([a-z_]+) = ", example().read_text())
    assert len(keys) > 60
    for key in keys:
        assert re.search(rf"(?m)^ +{key} = ", page), key


def test_a_comment_belongs_to_what_follows_it_at_once() -> None:
    lines = list(tables("# first\n\n# a table\n[a]\n# one\n# two\n#b = 1\n#c = 2\n"))
    assert lines == [".SS [a]", "a table", ".TP", "\\fBb = 1\\fR", "one two", ".TP", "\\fBc = 2\\fR", "\\&"]


def test_the_pages_that_the_wheel_brings_are_those_of_now() -> None:
    beside = ROOT / "etc/man"
    assert sorted(str(path.relative_to(beside)) for path in beside.rglob("*.*")) == sorted(NAMES)
    for name, section, lines in pages():
        kept = (beside / f"man{section}/{name}.{section}").read_bytes()
        assert undated(kept) == undated("\n".join([*lines, ""]).encode()), "run `make man`"


def test_a_page_that_says_nothing_new_keeps_its_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    first = write(tmp_path)[0]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1e9")
    write(tmp_path)
    assert '"1970-01-01"' in first.read_text()
    first.write_text(first.read_text() + "old words\n")
    write(tmp_path)
    assert '"2001-09-09"' in first.read_text() and "old words" not in first.read_text()


def test_no_word_is_taken_for_a_request() -> None:
    assert text(".so /etc/passwd") == "\\&.so /etc/passwd"
    assert text("a\\b --all `x`") == "a\\eb \\-\\-all \\fBx\\fR"
    assert list(definition("'t", "Why.\n  And `how`."))[1:] == ["\\fB\\&'t\\fR", "Why.", "And \\fBhow\\fR."]


def test_the_same_sources_make_the_same_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    first, second = list(pages()), list(pages())
    assert first == second
    assert first[0][2][0].startswith('.TH FORGED 1 "1970-01-01" "forged ')


def test_packages_take_them_compressed(tmp_path: Path) -> None:
    assert [path.name for path in write(tmp_path, compressed=True)] == ["forged.1.gz", "forgectl.1.gz", "forged.toml.5.gz"]
