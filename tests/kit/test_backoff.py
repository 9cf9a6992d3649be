"""Waits grow, stay bounded, and are spread by chance."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from forged.kit.backoff import backoff

seconds = st.floats(min_value=0, max_value=1e6)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


def test_with_the_longest_chance_each_wait_doubles_until_the_bound() -> None:
    assert list(islice(backoff(5, 60, lambda: 1.0), 6)) == [5, 10, 20, 40, 60, 60]


def test_a_first_wait_above_the_bound_is_cut_to_the_bound() -> None:
    assert next(backoff(100, 60, lambda: 1.0)) == 60


def test_chance_draws_from_the_whole_interval() -> None:
    drawn = iter([0.0, 0.5, 0.25])
    assert list(islice(backoff(8, 1000, lambda: next(drawn)), 3)) == [0, 8, 8]


@given(first_s=seconds, longest_s=seconds, chance=chances)
def test_no_wait_is_negative_or_above_the_bound(first_s: float, longest_s: float, chance: float) -> None:
    assert all(0 <= wait_s <= longest_s for wait_s in islice(backoff(first_s, longest_s, lambda: chance), 50))
