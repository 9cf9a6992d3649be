"""What becomes of events in the catalog's tables, without a database."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.ingest.postgres_rows import json_for_jsonb, rows_of
from forged.model.errors import IngestRefused
from forged.model.events import EventKind
from tests.ingest.contract import synced
from tests.ingest.happened import event

STRANGE = (
    *("", "{", "no json", "null", "NaN", '"x"', "[NaN, Infinity, -Infinity]", "[1e999, -1e999, 1e200000]", "[1e-999, 1E308]"),
    *('["\\ud800"]', '["\\u0000", "\\\\u0000"]', '{"\\u0000": 1, "\\ud83d\\ude00": 2}', '["a\0b"]', '{"a": 1, "a": 2}', "\ufeff{}"),
    *("[" * 300 + "]" * 300, "[" * 100_000, "[" + "9" * 5000 + "]", "[" + "9" * 200_000 + "]", "[123456789012345678901234567890]"),
    *(
        "[1,]",
        "{'a': 1}",
        "[01]",
        "[.5]",
        "[1] x",
        "{} {}",
        "\t [1]\n",
        '["\x1b\t"]',
        "[0." + "1" * 20_000 + "]",
        "[1e-20000, 1e-0020000]",
        "[0e20000, 0.0E99999]",
    ),
)


def refused(value: object) -> bool:
    """Whether jsonb would not take it."""
    match value:
        case str():
            return "\0" in value or any("\ud800" <= character <= "\udfff" for character in value)
        case float():
            return not math.isfinite(value)
        case list():
            return any(map(refused, value))
        case dict():
            return any(refused(name) or refused(one) for name, one in value.items())
        case _:
            return False


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_whatever_a_text_is_jsonb_takes_what_becomes_of_it(text: str) -> None:
    assert not refused(json.loads(json_for_jsonb(text)))


@given(
    st.recursive(st.none() | st.floats() | st.text() | st.integers(), lambda one: st.lists(one) | st.dictionaries(st.text(), one))
)
def test_whatever_python_writes_is_taken(value: object) -> None:
    for ascii in (True, False):
        text = json.dumps([value], ensure_ascii=ascii)
        taken = json.loads(json_for_jsonb(text))
        assert not refused(taken)
        if not refused([value]):
            assert taken == [value]


def test_of_a_file_the_last_event_holds_and_other_kinds_leave_nothing() -> None:
    one = "/media/one.png"
    rows = rows_of([synced(1, one), event(2, EventKind.TARGET_LOST), synced(3, one), synced(4)])
    assert len(rows.files) == len(rows.generations) == len(rows.loras) == 2
    assert sorted(rows.contents.values()) == [f"{3:064x}", f"{4:064x}"]


def test_a_body_that_is_none_is_named() -> None:
    with pytest.raises(IngestRefused, match="event 7"):
        rows_of([synced(1), event(7, size="no number")])
