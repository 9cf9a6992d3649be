"""JSON as generators write it: what is read, and what is refused without harm."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.media.generation import loose

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_not_a_number_and_infinities_are_numbers() -> None:
    value = loose.mapping('{"a": NaN, "b": Infinity, "c": -Infinity}')
    assert value is not None
    assert math.isnan(float(str(value["a"]))) and (value["b"], value["c"]) == (math.inf, -math.inf)


def test_seeds_keep_their_digits() -> None:
    assert loose.loads('{"seed": 18446744073709551616123}') == {"seed": 18446744073709551616123}


@pytest.mark.parametrize("around", ["\0", "\0\0\0\0", "\ufeff", " \r\n", "\0 \ufeff"])
def test_what_writers_leave_around_is_no_part_of_it(around: str) -> None:
    assert loose.mapping(f'{around}{{"a": 1}}{around}') == {"a": 1}


@pytest.mark.parametrize("times", range(4))
def test_texts_encoded_up_to_three_times_more_are_unwrapped(times: int) -> None:
    text = '{"a": "b"}'
    for _ in range(times):
        text = json.dumps(text)
    assert loose.mapping(text) == {"a": "b"}
    assert loose.mapping(json.dumps(json.dumps(json.dumps(json.dumps(text))))) is None


def test_a_string_that_holds_no_json_stays_one() -> None:
    assert loose.loads('"a cat"') == "a cat"
    assert loose.loads('""') == ""


def test_line_ends_may_stand_in_strings() -> None:
    assert loose.mapping('{"a": "b\n\tc"}') == {"a": "b\n\tc"}


@pytest.mark.parametrize("text", ["", "\0", "a cat", "{", '{"a": }', "[1,]", "null", "{} {}", "nope", "-", "1" * 5000])
def test_what_is_no_json_is_nothing(text: str) -> None:
    assert loose.loads(text) is None


def test_a_half_of_a_surrogate_pair_is_replaced_wherever_it_stands() -> None:
    assert loose.loads(r'{"\ud83d": ["\ud83dx", {"a": "\udc00\ud83d\ude00"}], "b": "y\uD83D"}') == {
        "\ufffd": ["\ufffdx", {"a": "\ufffd\U0001f600"}],
        "b": "y\ufffd",
    }
    assert loose.loads(r'"\ud83d"') == "\ufffd"
    assert loose.loads(json.dumps(r'{"a": "\ud83d"}')) == {"a": "\ufffd"}


@pytest.mark.parametrize("opening", ["[", '{"a":', '[1,{"a":'])
@pytest.mark.parametrize("levels", [101, 900, 200_000])
def test_deep_nesting_is_nothing(opening: str, levels: int) -> None:
    closing = "".join("]" if letter == "[" else "}" for letter in reversed(opening) if letter in "[{")
    assert loose.loads(opening * levels + "1" + closing * levels) is None
    assert loose.loads(opening * levels) is None
    assert loose.loads(opening * 50 + "1" + closing * 50) is not None


def test_many_containers_side_by_side_are_not_deep() -> None:
    assert loose.loads("[" + "[[]]," * 10_000 + "[]]") is not None


def test_what_would_fill_the_memory_is_nothing() -> None:
    assert loose.loads("[" + "[]," * loose.MAX_CONTAINERS + "1]") is None
    assert loose.loads('"' + "a" * loose.MAX_TEXT_CHARS + '"') is None


@given(VALUES)
def test_what_python_writes_is_read(value: object) -> None:
    mixed = {"value": value}
    assert json.dumps(loose.mapping(json.dumps(mixed))) == json.dumps(mixed)
    assert json.dumps(loose.mapping(json.dumps(mixed, ensure_ascii=False))) == json.dumps(mixed)


@given(st.text(alphabet='{}[]",:\\ud83e0-N\0\ufeff') | st.text())
def test_nothing_crashes_it(text: str) -> None:
    loose.mapping(text)
    json.dumps(loose.loads(text), ensure_ascii=False).encode()
