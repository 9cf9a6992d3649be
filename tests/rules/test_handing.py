"""Has every required handler taken a file? Every way in which the answer is no, and the only one in which it is yes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forged.model.files import Stat
from forged.model.handing import Handed
from forged.model.manifest import ManifestRow
from forged.model.paths import SourcePath, home_path, source_path
from forged.rules.handing import missing

PATH = source_path(b"m.png")
ROW = ManifestRow(PATH, Stat(1, 1), b"h" * 32, home_path(b"m.png"), landed_at_ns=100)
KEY = "/srv/m.png"


def handed(**changes: object) -> Handed:
    return Handed(**{"since_ns": {"a": 50}, **changes})  # type: ignore[arg-type]


def test_what_landed_for_it_and_does_not_wait_was_taken() -> None:
    assert missing(ROW, KEY, ["a"], handed()) is None
    assert missing(replace(ROW, landed_at_ns=50), KEY, ["a"], handed()) is None
    assert missing(ROW, KEY, [], Handed()) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"waiting": frozenset({("a", KEY)})}, "outbox"),
        ({"aside": frozenset({("a", KEY)})}, "set aside"),
        ({"to_examine": frozenset({PATH})}, "looked into"),
        ({"since_ns": {}}, "forgectl ingest replay a"),
        ({"since_ns": {"a": 101}}, "forgectl ingest replay a"),
        ({"since_ns": {}, "replayed": {"a": SourcePath(b"l.png")}}, "replay"),
        ({"since_ns": {}, "replayed": {"b": None}}, "replay"),
    ],
)
def test_each_doubt_is_told(changes: dict[str, object], why: str) -> None:
    answer = missing(ROW, KEY, ["a"], handed(**changes))
    assert answer is not None and answer.startswith("required ingest a has not taken it: ") and why in answer


@pytest.mark.parametrize("after", [None, PATH, source_path(b"z.png")])
def test_a_replay_that_has_come_past_it_is_as_good(after: SourcePath | None) -> None:
    assert missing(ROW, KEY, ["a"], handed(since_ns={}, replayed={"a": after})) is None


def test_what_concerns_others_is_no_doubt() -> None:
    others = {("b", KEY), ("a", "/srv/other.png")}
    assert missing(ROW, KEY, ["a"], handed(waiting=frozenset(others), aside=frozenset(others))) is None


NAMES = st.sampled_from(["a", "b", "c"])
MARKS = st.frozensets(st.tuples(NAMES, st.just(KEY)))


@given(st.sets(NAMES), st.dictionaries(NAMES, st.integers(0, 200)), MARKS, MARKS)
def test_all_of_them_have_to(
    required: set[str], since_ns: dict[str, int], waiting: frozenset[tuple[str, str]], aside: frozenset[tuple[str, str]]
) -> None:
    facts = Handed(since_ns, {}, waiting, aside)
    whole = missing(ROW, KEY, sorted(required), facts) is None
    assert whole == all(missing(ROW, KEY, [one], facts) is None for one in required)
    if whole:
        assert all(since_ns.get(one, 999) <= 100 and (one, KEY) not in waiting | aside for one in required)
