"""etc/forged.schema.json says what forged reads: held equal to the tables, and tried on what is right and what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fastjsonschema
import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from forged.config.json_schema import DRAFT, document, text
from forged.config.read import keys_by_header
from forged.kit.units import format_duration, format_rate, format_size
from tests.config.loading import TARGET, loaded, mistakes
from tests.config.test_example import TEXT, single_lines, switched_on

FILE = Path(__file__).parents[2] / "etc" / "forged.schema.json"

VALID: Callable[[object], object] = fastjsonschema.compile(document())


def said(toml: str) -> str:
    """What an editor says of this file; nothing of a right one."""
    try:
        VALID(tomli.loads(toml))
    except fastjsonschema.JsonSchemaValueException as e:
        return str(e.message)
    return ""


def test_the_file_is_what_the_tables_say() -> None:
    assert FILE.read_text() == text(), "the keys have changed: `make schema` writes it anew"


def test_the_example_names_it_where_editors_look() -> None:
    """Taplo and Even Better TOML take the schema from a `#:schema` line at the top."""
    first = TEXT.splitlines()[0]
    assert first == "#:schema ./etc/forged.schema.json"
    assert (FILE.parents[1] / first.removeprefix("#:schema ")).resolve() == FILE
    assert document()["$schema"] == DRAFT


def test_every_key_is_in_it_with_its_reason() -> None:
    def keys(schema: object) -> set[str]:
        found: set[str] = set()
        if isinstance(schema, dict):
            for name, key in schema.get("properties", {}).items():
                found |= {name} | keys(key)
                if "properties" not in key and key.get("type") != "array":
                    assert key["description"], name
            found |= keys(schema.get("items"))
            for one in schema.get("oneOf", []):
                found |= keys(one)
        return found

    tables = {"daemon", "state", "ingest", "discovery", "transfer"}
    assert keys(document()) == {key for keys in keys_by_header().values() for key in keys} | tables


def test_the_example_is_right_by_it() -> None:
    assert said(TEXT) == ""


@pytest.mark.parametrize(("index", "key"), list(single_lines()))
def test_any_line_of_the_example_may_be_switched_on(index: int, key: str) -> None:
    assert said(switched_on(index, key)) == ""


@pytest.mark.parametrize(
    "toml",
    [
        TARGET.replace("source", "sorce"),
        TARGET + 'tpye = "forge"\n',
        TARGET + 'type = "comfyui2"\n',
        TARGET + "poll = 30\n",
        TARGET + 'poll = "30 seconds"\n',
        TARGET + 'poll = "5"\n',
        TARGET + 'max_size = "2G"\n',
        TARGET + 'bandwidth = "20MB"\n',
        TARGET + 'verify = "yes"\n',
        TARGET + "parallel_transfers = 0\n",
        TARGET + 'include = "*.png"\n',
        TARGET + 'file_mode = "rw-r--r--"\n',
        TARGET + '[target.cleanup]\naeg = "24h"\n',
        TARGET.replace("studio", "my studio"),
        '[[target]]\nname = "a"\n',
        '[target]\nname = "a"\nsource = "/a"\n',
        '[deamon]\nlog_level = "info"\n',
        '[daemon]\nlog_level = "loud"\n',
        '[[ingest]]\nname = "a"\n',
        '[[ingest]]\ntype = "mysql"\nname = "a"\n',
        '[[ingest]]\ntype = "command"\nname = "a"\ncommand = []\n',
        '[[ingest]]\ntype = "webhook"\nname = "a"\ncommand = ["a"]\nurl = "https://a"\n',
        '[[discovery]]\ntype = "vastai"\nname = "a"\n',
    ],
)
def test_nonsense_is_marked_as_forged_refuses_it(toml: str, tmp_path: Path) -> None:
    assert said(toml) != ""
    assert mistakes(toml, tmp_path)


TARGETS = st.fixed_dictionaries(
    {
        "poll": st.integers(1_000, 365 * 86_400_000).map(lambda ms: format_duration(ms / 1000)),
        "max_size": st.just("off") | st.integers(0, 2**63 - 1).map(format_size),
        "bandwidth": (st.none() | st.integers(1, 10**12)).map(format_rate)
        | st.just(" 08:00,5MB/s  Sat-00:00,off ")
        | st.just("1.5 MiB/ s"),
        "parallel_transfers": st.integers(1, 32),
        "file_mode": st.integers(0o400, 0o777).map(lambda mode: f"{mode:04o}"),
        "name": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True),
    }
)


@given(TARGETS)
def test_what_forged_reads_no_editor_marks(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, object]) -> None:
    shown = "".join(f"{key} = {value}\n" if isinstance(value, int) else f'{key} = "{value}"\n' for key, value in keys.items())
    toml = '[[target]]\nsource = "ssh://box/outputs"\ndest = "/srv/media"\n' + shown
    loaded(toml, tmp_path_factory.getbasetemp())
    assert said(toml) == ""
