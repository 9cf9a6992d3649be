"""What the metrics page says of limits and of what is in flight, from a fleet at work in virtual time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from forged.daemon.gauges import Gauges
from forged.daemon.pool import Pool
from forged.model.errors import DestinationMissing, DiskFull
from forged.model.observer import ConnectionClosed, ConnectionOpened
from forged.model.settings import TransferSettings
from forged.model.target import Bandwidth, RateStep, Timing, TransferPolicy
from tests.daemon.grounds import Gate, Grounds, grounds, target
from tests.support.virtual import virtual


def bound(bytes_per_s: int) -> Bandwidth:
    return Bandwidth((RateStep(0, bytes_per_s),))


def value(world: Grounds, name: str, target: str = "box") -> float | None:
    return world.metrics.registry.get_sample_value(name, {"target": target})


@virtual
async def test_the_limits_as_they_are_now() -> None:
    limited = target(transfer=TransferPolicy(bandwidth=bound(5_000_000)))
    async with grounds(limited, target("free")) as world:
        pool = Pool(TransferSettings(bandwidth=bound(9_000_000)), world.clock)
        gauges = Gauges(world.fleet, pool, world.metrics)
        with ExitStack() as rooms:
            for one in (limited, target("free"), replace(limited, name="ad-hoc")):
                rooms.enter_context(pool.room(one))
            gauges.refresh()
            name = "forged_bandwidth_limit_bytes_per_second"
            assert [value(world, name, each) for each in ("", "box", "free", "ad-hoc")] == [9_000_000, 5_000_000, None, None]
            pool.override("box", Bandwidth())
            pool.override("free", bound(1))
            pool.override(None, bound(2))
            gauges.refresh()
            assert [value(world, name, each) for each in ("", "box", "free")] == [2, None, 1]


@virtual
async def test_what_is_in_flight() -> None:
    async with grounds(target()) as world:
        pool = Pool(TransferSettings(), world.clock)
        gauges = Gauges(world.fleet, pool, world.metrics)
        with pool.room(target()) as room:
            world.home().room = gate = Gate()
            for n in range(3):
                await world.put(b"%d.png" % n, b"P" * 100)
            active = world.member().work.start_sync()
            await gate.reached.wait()
            await room.take(12_345)
            gauges.refresh()
            assert value(world, "forged_transfers_in_flight") == 3
            assert value(world, "forged_bytes_in_flight") == 12_345
            gate.open.set()
            await active.ended.wait()
            room.give(12_345)
            gauges.refresh()
            assert value(world, "forged_transfers_in_flight") == 0
            assert value(world, "forged_bytes_in_flight") == 0


@virtual
async def test_a_target_that_is_only_polled_says_so() -> None:
    async with grounds(target(timing=Timing(poll_s=60.0, watch=False))) as world:
        await world.synced()
        assert value(world, "forged_watch_active") == 0


@virtual
async def test_free_space_is_what_is_left_when_home_is_full_and_unknown_when_it_is_not_there() -> None:
    name = "forged_destination_free_bytes"
    async with grounds(target()) as world:
        gauges = Gauges(world.fleet, Pool(TransferSettings(), world.clock), world.metrics)
        world.home().free_bytes = 5_000
        shown = []
        for trouble in (None, DiskFull(free_bytes=7), DiskFull(), DestinationMissing(), None):
            world.home().trouble = trouble
            await world.synced()
            gauges.refresh()
            shown.append(value(world, name))
        assert shown == [5_000, 7, 7, None, 5_000]


@virtual
async def test_connections_are_counted_as_they_come_and_go() -> None:
    async with grounds(target()) as world:
        gauges = Gauges(world.fleet, Pool(TransferSettings(), world.clock), world.metrics)
        standing = world.member().standing
        counted = []
        for fact in (ConnectionOpened("box"), ConnectionOpened("box"), ConnectionClosed("box"), ConnectionClosed("box")):
            gauges.refresh()
            counted.append(value(world, "forged_connections"))
            standing.notice(fact)
        assert counted == [0, 1, 2, 1]


@virtual
async def test_the_last_success_is_remembered_over_a_restart_and_over_a_change() -> None:
    name = "forged_last_success_timestamp_seconds"
    async with grounds(target()) as before:
        await before.put(b"a.png", b"A")
        job = await before.synced()
        assert job.end_ns is not None
        ended_ns = before.member().standing.last_sync_ns
        await before.apply(target(timing=Timing(poll_s=60.0, watch=False)))
        assert before.member().standing.last_sync_ns == ended_ns
        async with grounds() as after:
            after.store = after.jobs._store = before.store  # the same memory, another start
            await after.apply(target(), target("new"))
            assert after.member().standing.last_sync_ns == job.end_ns
            assert value(after, name) == job.end_ns / 1e9
            assert value(after, name, "new") is None
