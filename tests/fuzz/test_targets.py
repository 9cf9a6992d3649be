"""Every target, the same few hundred mutations each time. `make fuzz` goes on from here, guided (test_campaign)."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import MOST_BYTES, NAMES, Poker, Target, made


@pytest.fixture(scope="module", params=NAMES)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    target = made(request.param)
    yield target
    target.close()


def test_honest_inputs_are_believed_to_their_end(target: Target) -> None:
    """Otherwise the mutations would only try how early an input can be refused."""
    for seed in target.seeds():
        assert target.check(seed)


@pytest.fixture(scope="module")
def seeds(target: Target) -> list[bytes]:
    return target.seeds()


@settings(max_examples=250, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 2**32))
def test_nothing_but_declared_errors_comes_of_mutated_inputs(target: Target, seeds: list[bytes], number: int) -> None:
    target.check(mutated(target, seeds, random.Random(number)))


def mutated(target: Target, seeds: list[bytes], chance: random.Random) -> bytes:
    """A few mutations of one seed, mostly one: what is wrong in the beginning hides the rest."""
    data, poke = chance.choice(seeds), Poker(chance, target.words())
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = (target.mutated(data, chance, poke) if chance.randrange(8) else poke(data))[:MOST_BYTES]
    return data


@pytest.mark.parametrize("data", [b"", b"\0", b"\1", b"\0" * 100, b"\xff" * 100])
def test_next_to_nothing_is_an_input_too(target: Target, data: bytes) -> None:
    target.check(data)
