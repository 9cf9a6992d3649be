"""From parsed TOML to validated tables, with all mistakes at once.

A table with a wrong key is validated again without it: the checks across keys and tables then still have something to look at,
so that one run tells everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from forged.config.lines import KeyPath
from forged.config.mistakes import Mistake, in_our_words, unknown_key
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
from forged.config.schema_extras import DISCOVERY_TABLES, INGEST_TABLES, DiscoveryTable, IngestTable
from forged.config.surroundings import Surroundings

T = TypeVar("T", bound=Table)

HEADERS: Mapping[str, tuple[type[Table], ...]] = MappingProxyType(
    {
        "[daemon]": (DaemonTable,),
        "[state]": (StateTable,),
        "[transfer]": (TransferTable,),
        "[media]": (MediaTable,),
        "[[target]]": (TargetTable,),
        "[target.cleanup]": (CleanupTable,),
        "[[ingest]]": tuple(INGEST_TABLES.values()),
        "[[discovery]]": tuple(DISCOVERY_TABLES.values()),
        "[discovery.target]": (DiscoveredTable,),
    }
)
"""Every table of the file, as it is written there."""


STAND_INS: Mapping[str, str] = MappingProxyType({"name": "unnamed", "source": "ssh://unnamed/unnamed"})
"""What stands for a required key that is missing or wrong, so that the rest of its table is looked at too."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a file. Those of arrays come with their index, since one that could not be read at all is left out.

    `names` are those that [[ingest]] may refer to, also of tables that could not be read.
    """

    daemon: DaemonTable
    state: StateTable
    transfer: TransferTable
    media: MediaTable
    targets: list[tuple[int, TargetTable]] = field(default_factory=list)
    ingests: list[tuple[int, IngestTable]] = field(default_factory=list)
    discoveries: list[tuple[int, DiscoveryTable]] = field(default_factory=list)
    names: frozenset[str] = frozenset()


class Reader:
    """Reads the tables of one file, collecting mistakes on the way."""

    def __init__(self, data: Mapping[str, object], around: Surroundings) -> None:
        self._data = data
        self._around = around
        self.mistakes: list[Mistake] = []
        self._wrong: set[KeyPath] = set()

    def tables(self) -> Tables:
        """Everything that could be read; what is wrong is in `mistakes`, and stands here with its default."""
        headers = {header.strip("[]"): header for header in HEADERS if "." not in header}
        for key in self._data.keys() - headers.keys():
            self._add((key,), unknown_key(key, headers, keys_by_header()))
        return Tables(
            self._single("daemon", DaemonTable),
            self._single("state", StateTable),
            self._single("transfer", TransferTable),
            self._single("media", MediaTable),
            list(self._array("target", {}, TargetTable)),
            list(self._array("ingest", INGEST_TABLES, IngestTable)),
            list(self._array("discovery", DISCOVERY_TABLES, DiscoveryTable)),
            frozenset(self._names("target")) | frozenset(self._names("discovery")),
        )

    def _names(self, array: str) -> Iterator[str]:
        elements = self._data.get(array)
        for element in elements if isinstance(elements, list) else []:
            if isinstance(element, dict) and isinstance(element.get("name"), str):
                yield element["name"]

    def _single(self, name: str, table: type[T]) -> T:
        raw = self._data.get(name, {})
        if not isinstance(raw, dict):
            self._add((name,), f"this is one table: write [{name}] in single brackets")
            raw = {}
        return self.validated(table, raw, (name,)) or table()

    def _array(self, name: str, types: Mapping[str, type[T]], base: type[T]) -> Iterator[tuple[int, T]]:
        """The elements of an array of tables. Where there are `types`, the word in `type` chooses the table."""
        raw = self._data.get(name, [])
        if not isinstance(raw, list) or not all(isinstance(element, dict) for element in raw):
            self._add((name,), f"there may be several of these: write [[{name}]] in double brackets")
            return
        for index, element in enumerate(raw):
            chosen = self._chosen(types, element, (name, index)) if types else base
            table = None if chosen is None else self.validated(chosen, element, (name, index))
            if table is not None:
                yield index, table

    def _chosen(self, types: Mapping[str, type[T]], element: Mapping[str, object], path: KeyPath) -> type[T] | None:
        word = element.get("type")
        if not isinstance(word, str) or word not in types:
            said = "it is missing" if word is None else "no such type"
            self._add((*path, "type"), f"{said}: one of {', '.join(types)} is needed")
            return None
        return types[word]

    def validated(self, table: type[T], raw: dict[str, object], path: KeyPath) -> T | None:
        """The table without its wrong keys, which are in `mistakes`; None when a wrong or missing key cannot be done without."""
        while True:
            try:
                return table.model_validate(raw, context=self._around)
            except ValidationError as e:
                errors = e.errors(include_url=False, include_input=False)
                for error in errors:
                    self._add((*path, *error["loc"]), self._message(error, table))
                rest = _without(raw, [error["loc"] for error in errors])
                missing = {str(error["loc"][-1]) for error in errors if error["type"] == "missing"}
                rest |= {key: value for key, value in STAND_INS.items() if key in missing}
                if rest == raw:
                    return None  # a missing key for which nothing can stand in
                raw = rest

    def _message(self, error: ErrorDetails, table: type[Table]) -> str:
        if error["type"] != "extra_forbidden":
            return in_our_words(error, table)
        *around, key = error["loc"]
        return unknown_key(str(key), _table_at(table, tuple(around)).model_fields, keys_by_header())

    def _add(self, path: KeyPath, message: str) -> None:
        """A key has one mistake at a time: what follows from the first is no news."""
        if path not in self._wrong:
            self._wrong.add(path)
            self.mistakes.append(Mistake(path, message))


def keys_by_header() -> dict[str, set[str]]:
    """Every key of the file format, by the header that it stands below."""
    return {header: {key for table in tables for key in table.model_fields} for header, tables in HEADERS.items()}


def _without(raw: dict[str, object], locs: Iterable[KeyPath]) -> dict[str, object]:
    """A copy of `raw` without the keys at `locs`; as it is where there are none."""
    gone: dict[str, list[KeyPath]] = {}
    for key, *below in locs:
        gone.setdefault(str(key), []).append(tuple(below))
    kept = {name: value for name, value in raw.items() if name not in gone}
    inner = {name: value for name in gone if () not in gone[name] and isinstance(value := raw.get(name), dict)}
    return kept | {name: _without(value, gone[name]) for name, value in inner.items()}


def _table_at(table: type[Table], loc: KeyPath) -> type[BaseModel]:
    """The model of the table that `loc` leads to."""
    found: type[BaseModel] = table
    for key in loc:
        annotation = found.model_fields[str(key)].annotation
        options = (annotation, *getattr(annotation, "__args__", ()))
        found = next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
    return found
