"""The configuration file as any bytes: a Config or a ConfigError that tells of lines, and the scanner agrees with the parser."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import tomli
from pydantic_core import to_json

from forged.config.adhoc import SyncConfigTable, ad_hoc_target
from forged.config.lines import KeyPath, key_lines
from forged.config.load import load
from forged.config.mistakes import told
from forged.config.read import keys_by_header
from forged.config.surroundings import Surroundings
from forged.model.errors import ConfigError
from forged.model.settings import Config
from forged.model.target import MediaPolicy
from tests.fuzz.target import Poke, rearranged

ENV = {"HOME": "/home/user", "XDG_RUNTIME_DIR": "/run/user/1000", "MEDIA_BASE": "/srv", "ODD": "\udcff{}%s$HOME", "EMPTY": ""}
EXAMPLE = Path(__file__).parents[2] / "forged.toml.example"

VALUES = (
    b'"off"', b'"24h"', b'"20MB/s"', b'"08:00,5MB/s 23:00,off"', b'"ssh://a@b:22/c"', b'"sftp://[fd00::1]:22"', b'"docker://c/d"',
    b'"/srv"', b'"~/x"', b'"$ODD/x"', b'"${EMPTY}"', b'"30 4 * * mon-fri"', b'"{folder}/{date:%Y}/{path}"', b'["*.png", "!a/**"]',
    b'"postgresql://u:p@h/d"', b'"https://h/p?token=t"', b'"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"',
    b"0", b"-1", b"65536", b"1e400", b"-0.0", b"nan", b"true", b"1979-05-27T07:32:00Z", b"07:32:00", b"0x_f", b"{ a.b = 1 }",
    b"[[[[]]]]", b'"\\u0000"', b'"\\u202e"', b'"""\n"""', b"'''x'''", b'"' + b"9" * 50 + b'h"', b"9" * 30, b"9" * 5000,
)  # fmt: skip
"""Of every notation that a key may want, of TOML's own types, and some that mean nothing anywhere."""


class ConfigFile:
    """A Target. An input is the file."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="forged-\udcff-")  # a name that is no UTF-8
        self._path = Path(self._folder.name) / "forged.toml"

    def seeds(self) -> list[bytes]:
        example = EXAMPLE.read_bytes()
        small = b'[[target]]\nname = "a"\nsource = "ssh://box/outputs"\ndest = "/srv/media"\n'
        strange = b'\xef\xbb\xbf[daemon]\r\n"log_level" = "debug"\r\n'
        strange += b'[[target]]\r\nname = "b"\r\nsource = "/in"\r\nmedia = { xmp = false }\r\n'
        seed = b'source_host = "root@box"\nsource_port = 22\nsource_path = "/out"\ndest_path = "/srv"\ncleanup_age_hours = 1.5\n'
        return [small, strange, seed, small + b"[target.cleanup]\n" + small.replace(b'"a"', b'"c"'), *_tables(example)]

    def words(self) -> list[bytes]:
        return [*VALUES, *(header.encode() for header in keys_by_header()), *(key + b" = " for key in _keys())]

    def mutated(self, data: bytes, chance: random.Random, poke: Poke) -> bytes:
        """Lines are moved about and poked, values are replaced, keys that exist somewhere are added anywhere."""
        lines = rearranged(data.split(b"\n"), chance, poke)
        at = chance.randrange(len(lines) + 1)
        if chance.randrange(3) == 0:
            lines.insert(at, chance.choice(_keys()) + b" = " + chance.choice(VALUES))
        elif at < len(lines) and b"=" in lines[at]:
            lines[at] = lines[at].split(b"=")[0] + b"= " + chance.choice(VALUES)
        return b"\n".join(lines)

    def check(self, data: bytes) -> bool:
        self._path.write_bytes(data)
        parsed = _parsed(data)
        try:
            config = load(self._path, ENV, is_root=False)
        except ConfigError as error:
            _assert_telling(error, told(self._path))
        else:
            _assert_usable(config)
            assert parsed is not None
        if parsed is not None:
            text, tables = parsed
            assert set(key_lines(text)) == set(_paths(tables, ())), "the scanner sees other keys than the parser"
            _ad_hoc(tables, self._path.parent)
        return parsed is not None

    def close(self) -> None:
        self._folder.cleanup()


def _keys() -> list[bytes]:
    """Of the file, and of an ad-hoc table beside it."""
    return sorted(key.encode() for keys in (*keys_by_header().values(), SyncConfigTable.model_fields) for key in keys)


def _tables(example: bytes) -> Iterator[bytes]:
    """The tables of the example with all their keys, each as a file of its own."""
    every = re.sub(rb"(?m)^#(?=[\[a-z])", b"", re.sub(rb"(?m)^# .*\n", b"", example))
    yield every
    yield from re.split(rb"\n(?=\[\[?\w+\]\])", every)


def _parsed(data: bytes) -> tuple[str, dict[str, object]] | None:
    """The text and its tables, where the bytes are TOML at all."""
    with suppress(ValueError, RecursionError):
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        return text, tomli.loads(text)
    return None


def _paths(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """Every key and element that the parser has found."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, (*path, key))
    if isinstance(value, list):
        for index, below in enumerate(value):
            yield from _paths(below, (*path, index))


def _assert_telling(error: ConfigError, path: str) -> None:
    """At least one mistake, each on one line that begins with the file and that a terminal shows as it is."""
    assert error.problems
    for problem in error.problems:
        assert problem.startswith(path + ":") and problem.isprintable(), problem


def _assert_usable(config: Config) -> None:
    """What everybody relies on who is handed a Config."""
    assert to_json([[one.key, one.value, one.origin] for one in config.effective])
    names = [target.name.lower() for target in config.targets]
    assert len(set(names)) == len(names)
    for target in config.targets:
        assert target.source.path.startswith("/") and "\0" not in target.source.path and ".." not in target.source.path.split("/")
        assert target.home.dest.is_absolute() and ".forged" not in target.home.dest.parts
        assert target.timing.poll_s >= 1 and target.settle.settle_s >= 0


def _ad_hoc(tables: Mapping[str, object], folder: Path) -> None:
    """Its targets once more, as `sync.start {config}` would hand them over."""
    given = tables.get("target")
    for table in given if isinstance(given, list) else [tables]:
        if isinstance(table, dict):
            with suppress(ConfigError):
                ad_hoc_target(table, Surroundings(ENV, folder, is_root=False), MediaPolicy())
