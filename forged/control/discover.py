"""The OpenRPC document (spec.open-rpc.org, version 1.3.2) that describes the methods, made from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, JsonSchemaValue

from forged.control.peers import Level

OPENRPC_VERSION = "1.3.2"

OpenRpc = dict[str, object]
"""An OpenRPC document, or an object in it; the specification says which members it has."""


class Described(Protocol):
    """What must be known of a method to describe it."""

    @property
    def name(self) -> str: ...
    @property
    def handler(self) -> object: ...
    @property
    def level(self) -> Level: ...
    @property
    def params(self) -> type[BaseModel]: ...
    @property
    def result(self) -> object: ...


_Part = tuple[str, str]
"""A method's name, and the name of a parameter; that of the result is empty."""

_Schemas = dict[tuple[_Part, JsonSchemaMode], JsonSchemaValue]


def describe(title: str, version: str, methods: Sequence[Described]) -> OpenRpc:
    """The whole document, methods sorted by name. A type that several of them use stands once, under components.

    Each method says by `x-level`, an extension, who may call it: look, steer or admin.
    """
    ordered = sorted(methods, key=lambda method: method.name)
    types = [each for method in ordered for each in _types(method)]
    schemas, shared = TypeAdapter.json_schemas(types, ref_template="#/components/schemas/{model}")
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {"title": title, "version": version},
        "methods": [_described(method, schemas) for method in ordered],
        "components": {"schemas": shared.get("$defs", {})},
    }


def _types(method: Described) -> Iterator[tuple[_Part, JsonSchemaMode, TypeAdapter[object]]]:
    """Each parameter and the result, with the direction: what may come in can differ from what goes out."""
    for name, field in method.params.model_fields.items():
        yield (method.name, name), "validation", _adapter(Annotated[field.annotation, field])
    yield (method.name, ""), "serialization", _adapter(method.result)


def _adapter(annotation: object) -> TypeAdapter[object]:
    return TypeAdapter(annotation)  # type: ignore[arg-type]  # known at run time only


def _described(method: Described, schemas: _Schemas) -> OpenRpc:
    text = inspect.getdoc(method.handler) or ""
    return {
        "name": method.name,
        "summary": text.partition("\n")[0],
        "description": text,
        "paramStructure": "either",
        "params": [
            {"name": name, "required": field.is_required(), "schema": schemas[(method.name, name), "validation"]}
            for name, field in method.params.model_fields.items()
        ],
        "result": {"name": "result", "schema": schemas[(method.name, ""), "serialization"]},
        "x-level": method.level.name.lower(),
    }
