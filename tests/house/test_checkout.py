"""The checkout holds what it should: nothing stray at the top, nothing of the machine it was written on."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import ROOT, checked_in

TOP = {
    "forged", "etc", "systemd", "tests",
    "pyproject.toml", "forged.toml.example", "README.md", "Makefile", "LICENSE", "CHANGELOG.md",
    ".ci", ".gitignore", ".gitattributes",
}  # fmt: skip

# Written so that this file does not find itself.
OF_ONE_MACHINE = {
    "the folder somebody worked in": re.compile(rb"(?<![\w.}-])/[w]ork/"),
    "somebody's home": re.compile(rb"/[h]ome/(?!forged\b|user\b|me\b)\w"),
    "the address of a package index": re.compile(rb"index[-_]url|find[-_]links|trusted[-_]host|:/[/]pypi\.", re.IGNORECASE),
    "a private key": re.compile(rb"BEGIN[ ][A-Z ]*PRIVATE KEY"),
}

PIN = re.compile(r"[a-z0-9][a-z0-9.-]*==[\w.+]+( ; [\w'. =<>!]+)?")


def test_the_top_of_the_repository_has_only_what_the_readme_names() -> None:
    assert {path.parts[0] for path in checked_in()} - TOP == set()


@pytest.mark.parametrize("what", OF_ONE_MACHINE)
def test_no_file_holds(what: str) -> None:
    assert [path.as_posix() for path in checked_in() if OF_ONE_MACHINE[what].search((ROOT / path).read_bytes())] == []


def test_pins_are_names_and_versions_without_addresses() -> None:
    lines = (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not PIN.fullmatch(line)] == []


def test_no_file_is_large() -> None:
    """Samples are made by the tests; a clone stays small."""
    assert [path.as_posix() for path in checked_in() if (ROOT / path).stat().st_size > 500_000] == []


def test_the_readme_names_only_files_that_exist() -> None:
    named = re.findall(r"`((?:tests|forged|etc|systemd|\.ci)/[\w./-]*)`", (ROOT / "README.md").read_text())
    assert named, "the README should say where things are"
    assert [name for name in named if not (ROOT / name).exists()] == []
