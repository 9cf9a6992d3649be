"""What is free at home is known to the minute, and a home that does not answer holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from forged.daemon.freespace import LOOK_S, SILENT_S, FreeSpace
from forged.model.errors import MarkerMissing
from forged.model.target import Timing
from tests.daemon.grounds import Grounds, grounds, target
from tests.support.virtual import virtual

IDLE = Timing(poll_s=86_400.0, watch=False)
"""Looks at its home once a day."""


@asynccontextmanager
async def watched(*names: str, shared: bool = False) -> AsyncIterator[Grounds]:
    """Targets that have looked once, and nothing to do; and who asks."""
    made = [target(name, timing=IDLE) for name in names]
    targets = [replace(each, home=made[0].home) for each in made] if shared else made
    async with grounds(*targets) as world:
        for name in names:
            world.home(name).free_bytes = 1_000
            await world.synced(name)
        asking = asyncio.create_task(FreeSpace(world.fleet, world.clock).watch(alive=lambda: None))
        yield world
        asking.cancel()


def free(world: Grounds, name: str = "box") -> float | None:
    world.fleet.refresh_metrics()
    return world.metrics.registry.get_sample_value("forged_destination_free_bytes", {"target": name})


@virtual
async def test_of_an_idle_target_it_is_a_minute_old_at_most() -> None:
    async with watched("box") as world:
        for free_bytes in (700, 7, 70_000):
            world.home().free_bytes = free_bytes
            await asyncio.sleep(LOOK_S)
            assert free(world) == free_bytes


@virtual
async def test_a_home_that_goes_has_no_number_until_it_is_back() -> None:
    async with watched("box") as world:
        for trouble, shown in ((MarkerMissing(), None), (None, 1_000)):
            world.home().trouble = trouble
            await asyncio.sleep(LOOK_S)
            assert free(world) == shown


@virtual
async def test_a_dead_mount_is_asked_once_and_holds_up_no_other() -> None:
    async with watched("dead", "well") as world:
        questions, answer = 0, asyncio.Event()

        async def hangs() -> int:
            nonlocal questions
            questions += 1
            await answer.wait()
            return 5

        world.home("dead").free_space_bytes = hangs  # type: ignore[method-assign]
        await asyncio.sleep(LOOK_S)
        assert free(world, "dead") == 1_000, "not yet given up"
        world.home("well").free_bytes = 3
        await asyncio.sleep(SILENT_S + LOOK_S)
        assert (free(world, "dead"), free(world, "well"), questions) == (None, 3, 1)
        answer.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert free(world, "dead") == 5
        await asyncio.sleep(LOOK_S)
        assert questions == 2


@virtual
async def test_targets_of_one_folder_ask_once_for_all() -> None:
    async with watched("first", "second", shared=True) as world:
        world.home("first").free_bytes = 9
        world.home("second").free_space_bytes = None  # type: ignore[method-assign,assignment]
        await asyncio.sleep(LOOK_S)
        assert (free(world, "first"), free(world, "second")) == (9, 9)


@virtual
async def test_a_home_that_nobody_has_seen_yet_is_not_asked() -> None:
    async with grounds(target(timing=IDLE)) as world:
        world.member().standing.home_seen = False
        world.home().free_space_bytes = None  # type: ignore[method-assign,assignment]
        asking = FreeSpace(world.fleet, world.clock)
        asking.look()
        await asyncio.sleep(1)
