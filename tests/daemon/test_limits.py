"""Limits that people set: above what is configured, by the target's name, until the restart or longer."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from forged.daemon.limits import PersonsLimits
from forged.daemon.pool import Pool
from forged.kit.clock import HandClock
from forged.model.errors import ForgedError
from forged.model.settings import TransferSettings
from forged.model.target import Bandwidth, RateStep, Target, TransferPolicy
from forged.store.memory import MemoryStore
from tests.support.world import TARGET


def bound(bytes_per_s: int) -> Bandwidth:
    return Bandwidth((RateStep(0, bytes_per_s),))


BOUNDED = replace(TARGET, transfer=TransferPolicy(bandwidth=bound(7_000)))


class House:
    """A pool and what people set over it, for as many starts as a test needs; the store outlives them."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.rooms = ExitStack()

    async def start(self, *targets: Target) -> None:
        self.rooms.close()
        self.pool = Pool(TransferSettings(bandwidth=bound(9_000)), HandClock())
        self.limits = PersonsLimits(self.pool, self.store.limits)
        await self.limits.restore()
        for target in targets:
            self.rooms.enter_context(self.pool.room(target))

    def shown(self) -> dict[str | None, tuple[int | None, str, str]]:
        return {one["target"]: (one["rate"], one["limit"], one["origin"]) for one in self.limits.shown()}


@pytest.fixture
async def house() -> House:
    made = House()
    await made.start(BOUNDED)
    return made


async def test_without_a_persons_word_the_configured_limits_hold(house: House) -> None:
    assert house.shown() == {None: (9_000, "9kB/s", "config"), "box": (7_000, "7kB/s", "config")}


async def test_a_limit_holds_until_the_restart(house: House) -> None:
    await house.limits.change("box", "5MB/s", keep=False)
    await house.limits.change(None, "off", keep=False)
    assert house.shown() == {None: (None, "off", "until restart"), "box": (5_000_000, "5MB/s", "until restart")}
    await house.start(BOUNDED)
    assert {origin for *_, origin in house.shown().values()} == {"config"}


async def test_a_kept_limit_holds_over_restarts_from_the_first_moment_of_a_target(house: House) -> None:
    await house.limits.change("box", "5MB/s", keep=True)
    await house.limits.change(None, "1MB/s", keep=True)
    await house.start(BOUNDED)
    assert house.shown() == {None: (1_000_000, "1MB/s", "kept"), "box": (5_000_000, "5MB/s", "kept")}


async def test_a_limit_until_the_restart_hides_a_kept_one_and_does_not_end_it(house: House) -> None:
    await house.limits.change("box", "5MB/s", keep=True)
    await house.limits.change("box", "1MB/s", keep=False)
    assert house.shown()["box"] == (1_000_000, "1MB/s", "until restart")
    await house.start(BOUNDED)
    assert house.shown()["box"] == (5_000_000, "5MB/s", "kept")


@pytest.mark.parametrize("keep", [True, False])
async def test_the_word_config_forgets_a_kept_limit_and_gives_the_configured_one_back(house: House, keep: bool) -> None:
    await house.limits.change("box", "5MB/s", keep=True)
    await house.limits.change("box", "config", keep=keep)
    assert house.shown()["box"] == (7_000, "7kB/s", "config")
    await house.start(BOUNDED)
    assert house.shown()["box"] == (7_000, "7kB/s", "config")


async def test_a_reload_changes_what_is_configured_and_not_what_a_person_has_set(house: House) -> None:
    await house.limits.change("box", "5MB/s", keep=False)
    await house.limits.change(None, "1MB/s", keep=False)
    house.pool.limit(None, bound(3_000))
    with house.pool.room(replace(BOUNDED, transfer=TransferPolicy(bandwidth=bound(2_000)))):
        assert house.shown() == {None: (1_000_000, "1MB/s", "until restart"), "box": (5_000_000, "5MB/s", "until restart")}
        for name in ("box", None):
            await house.limits.change(name, "config", keep=False)
        assert house.shown() == {None: (3_000, "3kB/s", "config"), "box": (2_000, "2kB/s", "config")}


async def test_what_is_no_limit_changes_nothing(house: House) -> None:
    with pytest.raises(ForgedError, match="no limit"):
        await house.limits.change("box", "fast", keep=True)
    assert house.shown()["box"] == (7_000, "7kB/s", "config")
    assert await house.store.limits.kept() == {}


async def test_a_kept_limit_of_a_newer_forged_does_not_stop_the_start(house: House) -> None:
    await house.store.limits.keep("box", "5MB/s at full moon")
    await house.store.limits.keep(None, "1MB/s")
    await house.start(BOUNDED)
    assert house.shown()[None] == (1_000_000, "1MB/s", "kept")
    assert house.shown()["box"] == (7_000, "7kB/s", "config")
