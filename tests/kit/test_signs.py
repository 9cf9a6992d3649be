"""Who stands still is noticed, and where."""

from __future__ import annotations

import asyncio

from forged.kit.clock import HandClock
from forged.kit.signs import Signs, where


def test_who_gives_signs_of_life_lives_and_who_is_silent_for_too_long_stands_still() -> None:
    clock = HandClock()
    signs = Signs(10.0, clock.monotonic_s)
    first, second = signs.of("first"), signs.of("second")
    for _ in range(4):
        clock.advance(5)
        first()
    assert signs.still() == {"second": 20.0}
    second()
    assert signs.still() == {}
    clock.advance(11)
    assert set(signs.still()) == {"first", "second"}


def test_one_who_never_gave_a_sign_is_missed_too_and_one_who_begins_anew_has_given_one() -> None:
    clock = HandClock()
    signs = Signs(10.0, clock.monotonic_s)
    signs.of("never")
    clock.advance(11)
    assert set(signs.still()) == {"never"}
    signs.of("never")
    assert signs.still() == {}


async def test_where_a_task_waits_is_told_down_to_the_step_that_does_not_end() -> None:
    async def inner() -> None:
        await asyncio.Event().wait()

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer(), name="the one")
    await asyncio.sleep(0)
    steps = where("the one").split(" > ")
    assert [step.split()[1] for step in steps] == ["outer", "inner", "wait"]
    assert steps[1].startswith("test_signs.py:")
    assert where("nobody") == ""
    task.cancel()
