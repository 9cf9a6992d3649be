"""forged.toml.example documents every key, shows true defaults, and works: as it is, and with any of its lines switched on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tomli

from forged.config.read import keys_by_header
from forged.config.schema import (
    CleanupTable,
    DaemonTable,
    DiscoveredTable,
    MediaTable,
    StateTable,
    Table,
    TargetTable,
    TransferTable,
)
from forged.config.schema_extras import DISCOVERY_TABLES, INGEST_TABLES
from forged.model.target import SourceKind
from tests.config.loading import loaded

EXAMPLE = Path(__file__).parents[2] / "forged.toml.example"
TEXT = EXAMPLE.read_text()

_HEADER = re.compile(r"#?(\[.*\])")
_KEY = re.compile(r"#?(\w+) = (.*)")

TABLES: dict[str, type[Table]] = {
    "[daemon]": DaemonTable,
    "[state]": StateTable,
    "[transfer]": TransferTable,
    "[media]": MediaTable,
    "[[target]]": TargetTable,
    "[target.cleanup]": CleanupTable,
    "[target.media]": MediaTable,
    "[discovery.target]": DiscoveredTable,
}


@dataclass
class Section:
    """A header of the example and the keys below it, each with its line as it would be switched on."""

    header: str
    is_live: bool
    keys: dict[str, str] = field(default_factory=dict)
    live_keys: set[str] = field(default_factory=set)

    @property
    def table(self) -> type[Table]:
        if self.header == "[[ingest]]":
            return INGEST_TABLES[tomli.loads(self.keys["type"])["type"]]
        if self.header == "[[discovery]]":
            return DISCOVERY_TABLES[tomli.loads(self.keys["type"])["type"]]
        return TABLES[self.header]


def sections() -> list[Section]:
    found: list[Section] = []
    for line in TEXT.splitlines():
        if match := _HEADER.fullmatch(line):
            found.append(Section(match[1], not line.startswith("#")))
        elif match := _KEY.fullmatch(line):
            found[-1].keys[match[1]] = line.removeprefix("#")
            found[-1].live_keys |= set() if line.startswith("#") else {match[1]}
    return found


def single_lines() -> Iterator[tuple[int, str]]:
    yield from ((i, key) for i, section in enumerate(sections()) for key in section.keys)


def switched_on(index: int, key: str) -> str:
    """The example with one more line live; and with the header, the required keys and the partner that this line needs."""
    text = ""
    needed = {index}
    chosen = sections()[index]
    if chosen.header == "[discovery.target]":
        needed.add(index - 1)
    if chosen.header == "[[discovery]]":
        needed.add(index + 1)
    for i, section in enumerate(sections()):
        if not section.is_live and i not in needed:
            continue
        keys = set(section.live_keys)
        if i in needed and not section.is_live:
            keys |= {name for name, info in section.table.model_fields.items() if info.is_required()} | {"dest", "source"}
        keys |= {key} if i == index else set()
        if section.table in (INGEST_TABLES["postgres"], INGEST_TABLES["webhook"]) and not key.startswith(("dsn", "url")):
            keys |= {"dsn", "url"}
        text += f"{section.header}\n" + "".join(f"{line}\n" for name, line in section.keys.items() if name in keys)
    return text


def with_files_in(text: str, folder: Path) -> str:
    """Every file that the text names exists, in `folder`."""
    (folder / "secret").write_text("x")
    return re.sub(r'^(\w+_file) = ".*"', rf'\1 = "{folder}/secret"', text, flags=re.MULTILINE)


def test_the_example_is_valid_as_it_is(tmp_path: Path) -> None:
    config = loaded(TEXT, tmp_path)
    (target,) = config.targets
    assert target.source.kind is SourceKind.SSH
    assert target.cleanup is None


@pytest.mark.parametrize(("index", "key"), list(single_lines()))
def test_any_line_may_be_switched_on(index: int, key: str, tmp_path: Path) -> None:
    loaded(with_files_in(switched_on(index, key), tmp_path), tmp_path)


def test_every_key_occurs_and_no_unknown_one() -> None:
    shown: dict[str, set[str]] = {}
    for section in sections():
        shown.setdefault(section.header, set()).update(section.keys)
        assert section.keys.keys() <= section.table.model_fields.keys()
        if section.header in ("[[ingest]]", "[[discovery]]"):
            assert section.keys.keys() == section.table.model_fields.keys() - {"target"}
    for header, keys in keys_by_header().items():
        if header == "[discovery.target]":
            assert "source" in shown[header]  # the others are those of [[target]], and the text says so
        else:
            assert shown[header] == keys - {"cleanup", "media", "target"}
    assert {tomli.loads(section.keys["type"])["type"] for section in sections() if section.header == "[[ingest]]"} == set(
        INGEST_TABLES
    )


@pytest.mark.parametrize(("index", "key"), list(single_lines()))
def test_what_is_shown_as_a_default_is_the_default(index: int, key: str) -> None:
    section = sections()[index]
    default = section.table.model_fields[key].default
    has_default = not section.table.model_fields[key].is_required() and default is not None
    if has_default and key not in section.live_keys and section.header != "[discovery.target]":
        assert tomli.loads(section.keys[key])[key] == default


def test_every_key_is_explained_in_the_words_of_the_schema() -> None:
    explanations = {line.removeprefix("# ") for line in TEXT.splitlines() if line.startswith("# ")}
    for section in sections():
        for key in section.keys:
            assert section.table.model_fields[key].description in explanations


def test_an_address_of_the_example_belongs_to_nobody() -> None:
    source = tomli.loads(TEXT)["target"][0]["source"]
    assert "203.0.113." in source  # TEST-NET-3 of RFC 5737
