"""The examples of section 7 of the JSON-RPC 2.0 specification, asked of the real server. Our errors also carry `data`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.control.serving import serving

PARSE_ERROR = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}
INVALID = {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": None}


def not_found(id_: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": id_}


def result(id_: int | str, value: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "result": value, "id": id_}


EXAMPLES: dict[str, tuple[str, list[Any]]] = {
    "positional parameters": ('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', [result(1, 19)]),
    "positional, the other way": ('{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}', [result(2, -19)]),
    "named parameters": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        [result(3, 19)],
    ),
    "named, the other way": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        [result(4, 19)],
    ),
    "a notification": ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', []),
    "a notification of no method": ('{"jsonrpc": "2.0", "method": "foobar"}', []),
    "a call of no method": ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', [not_found("1")]),
    "invalid JSON": ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', [PARSE_ERROR]),
    "an invalid request": ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', [INVALID]),
    "a batch of invalid JSON": (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
        [PARSE_ERROR],
    ),
    "an empty batch": ("[]", [INVALID]),
    "a batch that is invalid, but not empty": ("[1]", [[INVALID]]),
    "an invalid batch": ("[1,2,3]", [[INVALID, INVALID, INVALID]]),
    "a batch": (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method": "update", "params": [7]},'
        ' {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"}, {"foo": "boo"},'
        ' {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
        ' {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]',
        [[result("1", 7), result("2", 19), INVALID, not_found("5"), result("9", ["hello", 5])]],
    ),
    "a batch of notifications": (
        '[{"jsonrpc": "2.0", "method": "update", "params": [1,2,4]}, {"jsonrpc": "2.0", "method": "update", "params": [7]}]',
        [],
    ),
}


def bare(answer: Any) -> Any:
    """Without `data`, which the specification leaves to the server."""
    if isinstance(answer, list):
        return [bare(each) for each in answer]
    if "error" in answer:
        assert set(answer["error"].pop("data")) == {"type", "hint"}
    return answer


def ordered(answer: Any) -> Any:
    """The specification leaves the order in a batch open."""
    return sorted(answer, key=lambda each: json.dumps(each, sort_keys=True)) if isinstance(answer, list) else answer


@pytest.mark.parametrize("example", EXAMPLES)
async def test_the_example_is_answered_as_specified(example: str) -> None:
    request, expected = EXAMPLES[example]
    async with serving() as served:
        answers = await served.ask(request + "\n")
    assert [ordered(bare(answer)) for answer in answers] == [ordered(answer) for answer in expected]
