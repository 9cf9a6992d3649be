"""Methods from signatures: strict parameters, by name or position, and their description."""

from __future__ import annotations

import datetime
import enum
import json
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import Field
from pydantic_core import to_json

from forged.control.errors import InvalidParams, MethodNotFound, NotPermitted
from forged.control.peers import Level, Peer
from forged.control.protocol import Params
from forged.control.publisher import Connection, Publisher
from forged.control.registry import Handler, Registry
from forged.control.sending import Backlog, SendQueue


class Kind(enum.Enum):
    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Filter:
    kind: Kind
    since: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    files: tuple[str, ...]
    next_cursor: str | None


async def find(
    peer: Peer,
    query: str,
    limit: Annotated[int, Field(ge=1, le=1000, description="How many at most.")] = 100,
    dry_run: bool = False,
    filters: tuple[Filter, ...] = (),
) -> Page:
    """Finds files.

    The newest first.
    """
    return Page((query, str(limit), str(filters), str(dry_run), str(peer.uid)), None)


def connection_of(level: Level) -> Connection:
    queue = SendQueue(Backlog(), lambda: None, lambda: None)
    return Connection(Peer(1000, 1000, 1, frozenset(), level), queue, Publisher(), lambda: None)


def registry_with(handler: Handler = find, level: Level = Level.LOOK) -> Registry:
    registry = Registry("forged", "1.2.3")
    registry.add("media.find", handler, level=level)
    return registry


def arguments(params: Params) -> dict[str, object]:
    return registry_with().find("media.find").arguments(params, connection_of(Level.LOOK))


def hint(params: Params) -> str:
    with pytest.raises(InvalidParams, match="Invalid params") as caught:
        arguments(params)
    return caught.value.hint


def test_parameters_come_by_name_or_by_position() -> None:
    by_name = arguments({"query": "cat", "limit": 5})
    assert by_name == arguments(["cat", 5])
    assert (by_name["query"], by_name["limit"], by_name["dry_run"], by_name["filters"]) == ("cat", 5, False, ())


def test_the_peer_is_filled_in_and_cannot_be_sent() -> None:
    assert isinstance(arguments(["cat"])["peer"], Peer)
    assert hint({"query": "cat", "peer": {"uid": 0}}) == "`peer` is no parameter of this method"


def test_json_becomes_the_types_of_the_signature() -> None:
    given = {"query": "cat", "filters": [{"kind": "video", "since": "2026-01-02T03:04:05Z"}]}
    since = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert arguments(given)["filters"] == (Filter(Kind.VIDEO, since),)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "`query` is needed"),
        ({"query": 1}, "`query`: Input should be a valid string"),
        ({"query": "x", "dry_run": "false"}, "`dry_run`: Input should be a valid boolean"),
        ({"query": "x", "dry_run": 0}, "`dry_run`: Input should be a valid boolean"),
        ({"query": "x", "limit": "5"}, "`limit`: Input should be a valid integer"),
        ({"query": "x", "limit": 0}, "`limit`: Input should be greater than or equal to 1"),
        ({"query": "x", "filters": [{"kind": "poem"}]}, "`filters.0.kind`: Input should be 'image' or 'video'"),
        ({"qury": "x"}, "`query` is needed; `qury` is no parameter of this method"),
        (["a", 1, False, [], "more"], "at most 4 parameters, not 5"),
        ({"query": "x", "limit": float("inf")}, "`limit`: Input should be a valid integer"),
    ],
)
def test_mistakes_are_named(params: Params, told: str) -> None:
    assert hint(params) == told


def test_a_mistake_never_quotes_what_was_sent() -> None:
    assert "geheim" not in hint({"query": ["geheim"], "filters": [{"kind": "geheim"}], "dry_run": "geheim"})


def test_a_thousand_mistakes_are_told_in_short() -> None:
    assert len(hint({"query": "x", "filters": [{}] * 1000})) < 1000
    assert len(hint({"x" * 100_000: 1})) < 1000


def test_a_level_is_asked_for_before_the_parameters_are_looked_at() -> None:
    method = registry_with(level=Level.ADMIN).find("media.find")
    with pytest.raises(NotPermitted):
        method.arguments({"nonsense": 1}, connection_of(Level.STEER))
    assert method.arguments(["x"], connection_of(Level.ADMIN))["query"] == "x"


def test_a_method_that_only_tells_without_a_parameter_is_then_for_everyone() -> None:
    registry = Registry("forged", "1.2.3")
    registry.add("media.find", find, level=Level.STEER, tells_without="filters")
    method, looker = registry.find("media.find"), connection_of(Level.LOOK)
    asked: tuple[Params, ...] = ({"query": "x"}, ["x"], {"query": "x", "filters": None})
    for params in asked[:2]:
        assert method.arguments(params, looker)["query"] == "x"
    assert [method.asks_for(params) for params in asked] == [Level.LOOK] * 3
    acting: tuple[Params, ...] = ({"query": "x", "filters": []}, ["x", 1, True, []], {"filters": 1})
    for params in acting:
        assert method.asks_for(params) is Level.STEER
        with pytest.raises(NotPermitted):
            method.arguments(params, looker)


def test_an_unknown_method_is_not_found() -> None:
    with pytest.raises(MethodNotFound):
        registry_with().find("media.fnd")


async def untyped(x) -> int:  # type: ignore[no-untyped-def]
    return 1


async def no_result(x: int):  # type: ignore[no-untyped-def]
    return 1


async def starred(*x: int) -> int:
    return 1


def plain(x: int) -> int:
    return 1


@pytest.mark.parametrize("handler", [untyped, no_result, starred, plain])
def test_a_handler_that_cannot_be_described_is_a_type_error(handler: Handler) -> None:
    with pytest.raises(TypeError, match=r"media\.find"):
        registry_with(handler)


def test_a_name_belongs_to_one_method() -> None:
    with pytest.raises(ValueError, match="exists already"):
        registry_with().add("media.find", find, level=Level.LOOK)


async def described() -> dict[str, object]:
    discover = registry_with(level=Level.STEER).find("rpc.discover")
    document = await discover.handler()
    parsed: dict[str, object] = json.loads(to_json(document))
    return parsed


async def test_the_description_names_parameters_types_and_levels() -> None:
    document = await described()
    assert document["openrpc"] == "1.3.2"
    assert document["info"] == {"title": "forged", "version": "1.2.3"}
    methods = {method["name"]: method for method in document["methods"]}  # type: ignore[attr-defined]
    method = methods["media.find"]
    assert (method["summary"], method["x-level"], method["paramStructure"]) == ("Finds files.", "steer", "either")
    assert method["description"] == "Finds files.\n\nThe newest first."
    assert [(each["name"], each["required"]) for each in method["params"]] == [
        ("query", True),
        ("limit", False),
        ("dry_run", False),
        ("filters", False),
    ]
    assert method["params"][1]["schema"] == {
        "default": 100,
        "description": "How many at most.",
        "maximum": 1000,
        "minimum": 1,
        "type": "integer",
    }
    assert method["result"] == {"name": "result", "schema": {"$ref": "#/components/schemas/Page"}}
    assert methods["rpc.discover"]["params"] == []


async def test_every_reference_in_the_description_leads_somewhere() -> None:
    document = await described()
    references = {each.split('"')[0] for each in json.dumps(document).split('"$ref": "')[1:]}
    schemas: dict[str, object] = document["components"]["schemas"]  # type: ignore[index]
    assert references == {f"#/components/schemas/{name}" for name in schemas}
    assert "#/components/schemas/Filter" in references


async def test_a_method_that_is_added_later_is_described_too() -> None:
    registry = registry_with()
    discover = registry.find("rpc.discover").handler
    await discover()
    registry.add("later", find, level=Level.LOOK)
    assert '"later"' in to_json(await discover()).decode()
