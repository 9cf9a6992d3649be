"""Finding and loading the configuration file: all of it, or every mistake at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import tomli

from forged.config.build import Builder
from forged.config.checks import check
from forged.config.effective import Effective
from forged.config.mistakes import rendered, told
from forged.config.read import Reader
from forged.config.surroundings import Surroundings
from forged.model.errors import ConfigError
from forged.model.settings import Config

MAX_FILE_BYTES = 4_000_000
"""Some ten thousand targets. A larger file is a mistake in the path, and reading it whole could take all memory."""


def load(path: Path, env: Mapping[str, str], *, is_root: bool) -> Config:
    """The configuration at `path`. Raises ConfigError with every mistake as `file:line: key: what, and what to do`.

    `env` and `is_root` decide defaults (`surroundings`); nothing else of the process is looked at.
    """
    text = _read(path)
    data = _parse(path, text)
    absolute = Path(os.path.abspath(path))
    around = Surroundings(env, absolute.parent, is_root)
    reader = Reader(data, around)
    tables = reader.tables()
    known = {mistake.path for mistake in reader.mistakes}
    mistakes = reader.mistakes + [mistake for mistake in check(tables, around) if mistake.path not in known]
    if mistakes:
        raise ConfigError(rendered(mistakes, path, text, data))
    config = Builder(absolute, tables, around).config()
    return replace(config, effective=tuple(Effective(config, tables, around, text, data).values()))


def find(argument: Path | None, env: Mapping[str, str], cwd: Path, home: Path, system: Path = Path("/etc/forged")) -> Path:
    """The file to load: `--config`, else $FORGED_CONFIG, else the first that exists of ./forged.toml, ~/.config, /etc.

    A file that was named must exist: silently taking another one would sync something else. Raises ConfigError.
    """
    named = argument or (Path(env["FORGED_CONFIG"]) if env.get("FORGED_CONFIG") else None)
    if named is not None:
        named = cwd / named
        if not os.path.exists(named):
            origin = "--config" if argument else "$FORGED_CONFIG"
            raise ConfigError((f"{told(named)}: there is no such file, but {origin} names it: correct one of them",))
        return named
    places = (cwd / "forged.toml", home / ".config/forged/forged.toml", system / "forged.toml")
    for place in places:
        if os.path.exists(place):
            return place
    looked = "\n".join(f"  {told(place)}" for place in places)
    hint = "start from forged.toml.example, or let `forged probe ssh://user@host` write the first [[target]]"
    raise ConfigError((f"there is no configuration file; looked for\n{looked}\n{hint}; -c FILE names another place",))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as e:
        raise ConfigError((f"{told(path)}: it cannot be read: {e.strerror}; check the path and its permissions",)) from e
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError((f"{told(path)}: it is larger than {MAX_FILE_BYTES} bytes: is this the configuration?",))
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")  # some editors put a byte order mark in front
    except UnicodeDecodeError as e:
        line = raw[: e.start].count(b"\n") + 1
        raise ConfigError((f"{told(path)}:{line}: this is not UTF-8: save the file in that encoding",)) from e


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as e:
        what = re.sub(r" \(at .*\)$", "", str(e))
        raise ConfigError((f"{told(path)}:{e.lineno}: column {e.colno}: this is not TOML: {what[:1].lower()}{what[1:]}",)) from e
    except ValueError as e:  # what Python's int() refuses, and the parser does not know of
        raise ConfigError((f"{told(path)}: a number in it has thousands of digits: is this the configuration?",)) from e
    except RecursionError as e:
        raise ConfigError((f"{told(path)}: its brackets are nested too deep: is this the configuration?",)) from e
