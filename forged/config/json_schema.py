"""The file format as JSON Schema (draft 7), for editors: Taplo and Even Better TOML complete keys and mark mistakes by it.

Made from the tables of `schema`, so that it cannot say something else. It knows each key, its type, its words and its shape; what
must fit together across keys, and what depends on the machine, `forged check` tells.

`make schema` writes etc/forged.schema.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from forged.config.schema import DaemonTable, MediaTable, StateTable, Table, TargetTable, TransferTable
from forged.config.schema_extras import DISCOVERY_TABLES, INGEST_TABLES

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The newest that Taplo 0.9 knows (taplo.tamasfe.dev, "Using schemas")."""


def document() -> dict[str, Json]:
    """The schema of the whole file."""
    return {
        "$schema": DRAFT,
        "title": "forged.toml",
        "description": "The configuration of forged. `forged check` says what this schema cannot know.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "daemon": _table(DaemonTable),
            "state": _table(StateTable),
            "transfer": _table(TransferTable),
            "media": _table(MediaTable),
            "target": {"type": "array", "items": _table(TargetTable)},
            "ingest": _one_of(INGEST_TABLES),
            "discovery": _one_of(DISCOVERY_TABLES),
        },
    }


def _one_of(tables: Mapping[str, type[Table]]) -> dict[str, Json]:
    """An array whose elements say by `type` which table they are."""
    return {"type": "array", "items": {"oneOf": [_table(table, word) for word, table in tables.items()]}}


def _table(table: type[Table], type_word: str | None = None) -> dict[str, Json]:
    """One table with its keys. `type_word`: the word that its key `type` has."""
    properties = {name: _key(field) for name, field in table.model_fields.items()}
    if type_word is not None:
        properties["type"] = {"const": type_word, "description": _description(table.model_fields["type"])}
    made: dict[str, Json] = {
        "type": "object",
        "description": (table.__doc__ or "").strip(),
        "additionalProperties": False,
        "properties": dict(properties),
    }
    if needed := [name for name, field in table.model_fields.items() if field.is_required()]:
        made["required"] = list(needed)
    return made


def _key(field: FieldInfo) -> dict[str, Json]:
    """One key: what may be written, why, and what holds without it."""
    inner = _inner(field)
    if inner is not None:
        return {**_table(inner), "description": _description(field)}
    kind: Any = Annotated[(field.annotation, None, *field.metadata)]  # a type that is known while it runs
    written: dict[str, Json] = TypeAdapter(kind).json_schema()
    default: dict[str, Json] = {} if field.is_required() or field.default is None else {"default": field.default}
    return {**written, "description": _description(field), **default}


def _description(field: FieldInfo) -> str:
    return field.description or ""


def _inner(field: FieldInfo) -> type[Table] | None:
    """The table that this key is."""
    options: Iterable[object] = (field.annotation, *getattr(field.annotation, "__args__", ()))
    return next((one for one in options if isinstance(one, type) and issubclass(one, Table)), None)


def text() -> str:
    """The file in etc/."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
