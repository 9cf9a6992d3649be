"""The collector comes rarely, and still comes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from forged.kit.garbage import YOUNG, collect_rarely


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


class Cycle:
    """An object that only the collector can end."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_is_left_alone_and_new_cycles_go() -> None:
    old = weakref.ref(Cycle())
    collect_rarely()
    new = weakref.ref(Cycle())
    gc.collect()
    assert old() is not None
    assert new() is None


def test_cycles_go_by_themselves() -> None:
    collect_rarely()
    one = weakref.ref(Cycle())
    kept = [[n] for n in range(2 * YOUNG)]
    assert one() is None
    assert kept
