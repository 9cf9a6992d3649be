"""Every key as it holds, with its origin: what `forgectl config` shows.

A value that somebody wrote is shown as it was written, a default as one would write it. Only what a reader could not know is worked
out: paths are absolute, and what the type of a target adds is there. No secret comes through (promise 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import fsencode
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from forged.config.lines import KeyPath, key_lines, line_of
from forged.config.mistakes import told
from forged.config.presets import preset
from forged.config.read import Tables
from forged.config.schema import TargetKeys
from forged.config.surroundings import Place, Surroundings
from forged.config.values import Secret
from forged.kit.masking import HIDDEN, masked, names_a_secret
from forged.model.paths import shown
from forged.model.settings import Config, EffectiveValue, Scalar, Shown, SqliteIngest
from forged.model.target import SourceKind, Target

DEFAULT, PRESET = "default", "preset"

_INNER_TABLES = frozenset({"cleanup", "media", "target"})

MOST_CHARS, MOST_ITEMS = 4_096, 100
"""Of one text that is shown, and of one list: an answer of the control socket has 1 MiB for a whole page."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was worked out for a key: its value, and the origin of it where the file does not say one."""

    value: Shown
    origin: str


class Effective:
    """The values of one file that is known to be valid. `data` is what the parser made of `text`."""

    def __init__(self, config: Config, tables: Tables, around: Surroundings, text: str, data: Mapping[str, object]) -> None:
        self._config = config
        self._tables = tables
        self._around = around
        self._data = data
        self._lines = key_lines(text)

    def values(self) -> Iterator[EffectiveValue]:
        """All of them, section after section as in forged.toml.example; within one, in the order of the schema."""
        tables, config = self._tables, self._config
        state_dir = _from(self._around.state_dir(), config.daemon.state_dir)
        socket = _from(self._around.socket(), config.daemon.socket)
        yield from self._rows("daemon", ("daemon",), tables.daemon, {"state_dir": state_dir, "socket": socket})
        yield from self._rows("state", ("state",), tables.state)
        yield from self._rows("transfer", ("transfer",), tables.transfer)
        yield from self._rows("media", ("media",), tables.media)
        for (index, target), built in zip(tables.targets, config.targets, strict=True):
            yield from self._target(f"target.{target.name}", ("target", index), target, built)
        for (index, ingest), settings in zip(tables.ingests, config.ingests, strict=True):
            catalog = settings.handler.path if isinstance(settings.handler, SqliteIngest) else None
            known = {"path": Known(told(catalog), DEFAULT)} if catalog else {}
            yield from self._rows(f"ingest.{ingest.name}", ("ingest", index), ingest, known)
        for (index, discovery), found in zip(tables.discoveries, config.discoveries, strict=True):
            key = f"discovery.{discovery.name}"
            yield from self._rows(key, ("discovery", index), discovery)
            yield from self._target(f"{key}.target", ("discovery", index, "target"), discovery.target, found.template)

    def _target(self, key: str, path: KeyPath, table: TargetKeys, built: Target) -> Iterator[EffectiveValue]:
        """A target, or the template of a discovery: its keys, then its two tables."""
        yield from self._rows(key, path, table, self._known_of(table, built))
        if table.cleanup is None:
            yield EffectiveValue(f"{key}.cleanup", None, DEFAULT)
        else:
            yield from self._rows(f"{key}.cleanup", (*path, "cleanup"), table.cleanup)
        general = {row.key.removeprefix("media."): row for row in self._rows("media", ("media",), self._tables.media)}
        inherited = {
            name: Known(row.value, row.origin) for name, row in general.items() if name not in table.media.model_fields_set
        }
        yield from self._rows(f"{key}.media", (*path, "media"), table.media, inherited)

    def _known_of(self, table: TargetKeys, built: Target) -> dict[str, Known]:
        """What the target's type and $MEDIA_BASE say."""
        of_type, selection = preset(table.type), built.selection
        place_only = built.source.kind is SourceKind.SSH and not built.source.host
        source = shown(fsencode(built.source.path)) if place_only else str(built.source)
        return {
            "source": Known(source, PRESET),
            "dest": _from(self._around.media_base(), built.home.dest),
            "folders": Known(selection.folders, PRESET if selection.guessed else DEFAULT),
            "exclude": Known(selection.exclude, PRESET if of_type.exclude else DEFAULT),
            "mutable": Known(selection.mutable, PRESET if of_type.mutable else DEFAULT),
        }

    def _rows(
        self, key: str, path: KeyPath, table: BaseModel, known: Mapping[str, Known] | None = None
    ) -> Iterator[EffectiveValue]:
        """The keys of one table; the tables inside it are not among them."""
        written = self._written(path)
        for name, field in type(table).model_fields.items():
            if name in _INNER_TABLES:
                continue
            fact = (known or {}).get(name)
            origin = self._place((*path, name), written[name]) if name in written else fact.origin if fact else DEFAULT
            value = fact.value if fact else _as_written(getattr(table, name), written.get(name, field.default))
            yield EffectiveValue(f"{key}.{name}", _without_secrets(name, field, value), origin)

    def _written(self, path: KeyPath) -> Mapping[str, object]:
        """The table at `path` as the file has it; empty where it has none."""
        found: object = self._data
        for step in path:
            if isinstance(found, Mapping):
                found = found.get(str(step), {})
            elif isinstance(found, Sequence) and isinstance(step, int):
                found = found[step]
        return found if isinstance(found, Mapping) else {}

    def _place(self, path: KeyPath, value: object = None) -> str:
        """The line that says it; and where that line leads to a credential of systemd's, this too."""
        credential = isinstance(value, str) and "CREDENTIALS_DIRECTORY" in value
        return f"{told(self._config.path)}:{line_of(self._lines, path)}" + (" (credential)" if credential else "")


def _from(place: Place | None, path: Path) -> Known:
    """A path that the file or else the surroundings give."""
    return Known(told(path), f"${place.variable}" if place and place.variable else DEFAULT)


def _as_written(read: object, written: object) -> Shown:
    """The text, number or list that stands in the file; paths absolute."""
    if isinstance(read, Path):
        return told(read)
    if isinstance(written, list | tuple):
        return tuple(str(item) for item in written)
    return written if isinstance(written, str | int | float) else None


def _without_secrets(name: str, field: FieldInfo, value: Shown) -> Shown:
    """A key that holds a secret shows its default at most; what looks like a secret elsewhere is masked."""
    secret = names_a_secret(name) or any(isinstance(mark, Secret) for mark in field.metadata)
    if secret and value is not None and value != field.default:
        return HIDDEN
    if isinstance(value, tuple):
        return tuple(_item(value, index) for index in range(min(len(value), MOST_ITEMS))) + _rest(len(value))
    return _text(value) if isinstance(value, str) else value


def _item(items: Sequence[Scalar], index: int) -> str:
    """One of a list. In a command, what follows an option such as `--token` is its value."""
    before = str(items[index - 1]) if index else ""
    is_value = before.startswith("-") and "=" not in before and names_a_secret(before)
    return HIDDEN if is_value else _text(str(items[index]))


def _rest(count: int) -> tuple[str, ...]:
    return (f"… and {count - MOST_ITEMS} more",) if count > MOST_ITEMS else ()


def _text(text: str) -> str:
    safe = masked(text)
    return safe if len(safe) <= MOST_CHARS else safe[:MOST_CHARS] + "…"
