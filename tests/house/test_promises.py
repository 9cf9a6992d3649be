"""The table of broken promises keeps up with the code. Breaking them takes minutes: tests/soak/test_broken_promises.py."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.house.tree import ROOT
from tests.promises.breach import Breach, CannotBreak, place_of
from tests.promises.table import BREACHES, NOT_BUILT, PROMISES

HALVES = 3
"""Each promise says several things; so many of them are broken one by one at least."""


def test_each_can_still_be_broken() -> None:
    assert [why for breach in BREACHES if (why := cannot_break(breach))] == []


def cannot_break(breach: Breach) -> str | None:
    """Why the code as it is now cannot be broken so; None where it can."""
    text = (ROOT / breach.file).read_text()
    try:
        broken = breach.broken(text)
        ast.parse(broken)
    except (CannotBreak, SyntaxError) as why:
        return f"{breach.name}: {why}"
    return None if broken != text else f"{breach.name}: nothing is changed"


def test_who_should_notice_is_there() -> None:
    assert [breach.name for breach in BREACHES if not breach.noticed_by] == []
    noticing = {test for breach in BREACHES for test in breach.noticed_by}
    assert sorted(test for test in noticing if not is_there(test)) == []


def is_there(noticing: str) -> bool:
    """A test may come from a contract beside the file that is named, or from that of its room."""
    place, name = place_of(noticing)
    files = [*place.parent.glob("*.py"), *place.parents[1].glob("contract*.py")]
    return place.exists() and (not name or any(f"def {name}(" in file.read_text() for file in files))


def test_every_promise_is_broken_in_several_ways() -> None:
    ways = Counter(breach.promise for breach in BREACHES)
    assert {promise: ways[promise] for promise in PROMISES if ways[promise] < HALVES} == {}
    assert {one.promise for one in (*BREACHES, *NOT_BUILT)} == set(PROMISES)


def test_no_two_of_them_have_one_name() -> None:
    assert [name for name, times in Counter(breach.name for breach in BREACHES).items() if times > 1] == []


def test_a_text_that_is_gone_or_there_twice_is_said() -> None:
    breach = Breach(1, "an example", "forged/x.py", "old", "new", ("tests/x.py",))
    assert breach.broken("an old text") == "an new text"
    for text in ("nothing of it", "old and old"):
        with pytest.raises(CannotBreak, match="an example"):
            breach.broken(text)
