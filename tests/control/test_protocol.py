"""JSON-RPC 2.0 as text: what is a call, what is refused, and that no bytes at all make it raise."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forged.control.errors import AnswerTooLarge, Code, MethodNotFound
from forged.control.protocol import (
    BATCH_MOST_PARTS,
    LINE_MOST_BYTES,
    Call,
    Message,
    Refusal,
    error_line,
    parse,
    result_line,
)
from forged.model.errors import AuthRefused, ForgedError


def only(line: bytes | str) -> Call | Refusal:
    message = parse(line.encode() if isinstance(line, str) else line)
    assert not message.is_batch
    (part,) = message.parts
    return part


def refusal(line: bytes | str) -> Refusal:
    part = only(line)
    assert isinstance(part, Refusal)
    return part


def test_a_request_has_an_id_and_a_notification_has_none() -> None:
    assert only('{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}') == Call("m", [1], 1, wants_answer=True)
    assert only('{"jsonrpc":"2.0","method":"m","params":{"a":1}}') == Call("m", {"a": 1}, None, wants_answer=False)


def test_an_id_that_is_null_is_a_request() -> None:
    assert only('{"jsonrpc":"2.0","id":null,"method":"m"}') == Call("m", {}, None, wants_answer=True)


@pytest.mark.parametrize("id_", ['"a"', '""', "0", "-1", "1.5", "18446744073709551616"])
def test_an_id_comes_back_as_it_was(id_: str) -> None:
    call = only(f'{{"jsonrpc":"2.0","id":{id_},"method":"m"}}')
    assert isinstance(call, Call)
    assert json.loads(result_line(call.id, None))["id"] == json.loads(id_)


@pytest.mark.parametrize("id_", ["true", "[]", "{}", "1e400", "-1e400", f'"{"x" * 300}"', "9" * 300])
def test_what_cannot_be_an_id_is_refused_without_one(id_: str) -> None:
    assert refusal(f'{{"jsonrpc":"2.0","id":{id_},"method":"m"}}').error.code is Code.INVALID_REQUEST
    assert refusal(f'{{"jsonrpc":"2.0","id":{id_},"method":"m"}}').id is None


@pytest.mark.parametrize(
    "rest",
    ['"method":"m"', '"jsonrpc":"1.0","method":"m"', '"jsonrpc":2.0,"method":"m"', '"jsonrpc":"2.0"',
     '"jsonrpc":"2.0","method":null', '"jsonrpc":"2.0","method":"m","params":null', '"jsonrpc":"2.0","method":"m","params":"x"'],
)  # fmt: skip
def test_an_invalid_request_is_refused_under_its_own_id(rest: str) -> None:
    refused = refusal(f'{{"id":7,{rest}}}')
    assert (refused.error.code, refused.id) == (Code.INVALID_REQUEST, 7)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b'{"jsonrpc":"2.0","method":"m","params":[NaN]}', b"[Infinity]", b"[-Infinity]",
     b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"', b"\xef\xbb\xbf{}",
     b"[" * 5000, b'{"a":' * 5000, b"9" * 5000, b'{"id":1} {"id":2}', b"\x00"],
)  # fmt: skip
def test_what_is_no_json_is_a_parse_error(line: bytes) -> None:
    refused = refusal(line)
    assert (refused.error.code, refused.id) == (Code.PARSE_ERROR, None)


def test_of_equal_names_the_last_counts() -> None:
    assert only('{"jsonrpc":"2.0","id":1,"id":2,"method":"a","method":"b"}') == Call("b", {}, 2, wants_answer=True)


def test_an_empty_batch_and_one_that_is_too_long_are_one_error() -> None:
    assert refusal("[]").error.code is Code.INVALID_REQUEST
    assert refusal("[" + ",".join(["1"] * (BATCH_MOST_PARTS + 1)) + "]").error.code is Code.INVALID_REQUEST
    assert len(parse(b"[" + b",".join([b"1"] * BATCH_MOST_PARTS) + b"]").parts) == BATCH_MOST_PARTS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["id", "jsonrpc", "method"]), inner, max_size=5)
    ),
    max_leaves=20,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={"jsonrpc": st.just("2.0") | JSON, "id": JSON, "method": st.text() | JSON, "params": JSON, "more": JSON},
)
"""Objects that are calls, or nearly."""


@given(st.binary(max_size=300))
@example(b"\xff\xfe[\x00")
def test_no_bytes_make_it_raise(line: bytes) -> None:
    judge(parse(line))


@given(ALMOST | st.lists(ALMOST | JSON, max_size=6))
def test_nothing_that_is_nearly_a_call_makes_it_raise(value: object) -> None:
    judge(parse(json.dumps(value).encode()))


def judge(message: Message) -> None:
    """A line has parts, every refusal can be written down, and only an object with an id wants an answer."""
    assert message.parts
    for part in message.parts:
        if isinstance(part, Refusal):
            answer = json.loads(error_line(part.id, part.error))
            assert answer["id"] == part.id
            assert set(answer["error"]) == {"code", "message", "data"}
        else:
            assert part.wants_answer or part.id is None
            assert json.loads(result_line(part.id, None)) == {"jsonrpc": "2.0", "id": part.id, "result": None}


@given(st.text(st.characters(), max_size=50), st.text(st.characters(), max_size=50))
def test_any_message_of_an_error_can_be_written_down(message: str, hint: str) -> None:
    told = json.loads(error_line(1, ForgedError(message + "x", hint=hint)))["error"]
    assert told["code"] == Code.FAILED
    assert len(told["message"]) == len(message) + 1


def test_an_error_says_its_type_and_what_to_do() -> None:
    assert json.loads(error_line("a", AuthRefused()))["error"] == {
        "code": -32000,
        "message": "The source refused our key.",
        "data": {"type": "auth_refused", "hint": "add the public key to the box's authorized_keys, or set identity_file"},
    }


def test_standard_errors_use_the_words_of_the_specification() -> None:
    told = json.loads(error_line(None, MethodNotFound()))["error"]
    assert (told["code"], told["message"]) == (-32601, "Method not found")


def test_an_error_that_is_very_long_is_cut() -> None:
    assert len(error_line(1, ForgedError("x" * LINE_MOST_BYTES, hint="é" * LINE_MOST_BYTES))) < 100_000


def test_not_a_number_becomes_null_in_a_result() -> None:
    assert json.loads(result_line(1, [float("nan"), float("inf"), 1.5]))["result"] == [None, None, 1.5]


def test_a_result_that_does_not_fit_a_line_is_refused() -> None:
    spare = len(result_line(1, ""))
    assert len(result_line(1, "x" * (LINE_MOST_BYTES - spare))) == LINE_MOST_BYTES
    with pytest.raises(AnswerTooLarge):
        result_line(1, "x" * (LINE_MOST_BYTES - spare + 1))
