"""Bandwidth limits, in virtual time: the figure is kept within 5 %, for all waiters alike."""

from __future__ import annotations

import asyncio
import heapq

import pytest

from forged.kit.budget import Budget
from forged.kit.rate import LimitedRoom, RateLimit, pay_all

MB = 1_000_000


class SharedClock:
    """Virtual time for many sleepers at once: it moves on to the next one when nobody has anything left to do."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_ns(self) -> int:
        return int(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + seconds, self._count, future))
        await future

    async def run(self, seconds: float) -> None:
        """Lets this much time pass."""
        end_s = self.now_s + seconds
        while True:
            await asyncio.sleep(0)
            while asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]  # whoever can go on does, until all sleep
                await asyncio.sleep(0)
            if not self._sleepers or self._sleepers[0][0] > end_s:
                self.now_s = end_s
                return
            self.now_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)


class Stream:
    """Someone who takes as fast as the limits let him."""

    def __init__(self, *limits: RateLimit, size_bytes: int = 256 * 1024) -> None:
        self.limits, self.size_bytes, self.taken_bytes = limits, size_bytes, 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await pay_all(self.limits, self.size_bytes)
            self.taken_bytes += self.size_bytes
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def clock() -> SharedClock:
    return SharedClock()


async def taken_in(clock: SharedClock, seconds: float, *streams: Stream) -> list[int]:
    before = [stream.taken_bytes for stream in streams]
    await clock.run(seconds)
    return [stream.taken_bytes - start for stream, start in zip(streams, before, strict=True)]


@pytest.mark.parametrize("rate", [50_000, 5 * MB, 200 * MB])
@pytest.mark.parametrize("size_bytes", [10_000, 256 * 1024])
async def test_ten_seconds_bring_ten_times_the_figure(clock: SharedClock, rate: int, size_bytes: int) -> None:
    stream = Stream(RateLimit(clock, rate), size_bytes=size_bytes)
    (taken,) = await taken_in(clock, 10, stream)
    assert abs(taken - 10 * rate) <= 0.05 * 10 * rate + size_bytes
    await stream.stop()


async def test_an_idle_limit_saves_up_a_little_only(clock: SharedClock) -> None:
    limit = RateLimit(clock, MB)
    await clock.run(3600)
    stream = Stream(limit, size_bytes=10_000)
    assert (await taken_in(clock, 10, stream))[0] <= 10.5 * MB
    await stream.stop()


async def test_waiters_get_equal_parts_whatever_the_size_of_their_wishes(clock: SharedClock) -> None:
    limit = RateLimit(clock, 10 * MB)
    streams = [Stream(limit, size_bytes=size) for size in (MB, MB, 4 * MB)]
    taken = await taken_in(clock, 60, *streams)
    assert sum(taken) == pytest.approx(600 * MB, rel=0.05)
    assert max(taken) <= 1.1 * min(taken)
    for stream in streams:
        await stream.stop()


async def test_a_small_wish_waits_for_a_slice_of_a_large_one_and_not_for_all_of_it(clock: SharedClock) -> None:
    limit = RateLimit(clock, MB)
    large = asyncio.create_task(pay_all([limit], 100 * MB))
    await clock.run(1)
    small = asyncio.create_task(pay_all([limit], 1000))
    await clock.run(0.2)
    assert small.done()
    assert not large.done()
    large.cancel()


async def test_of_stacked_limits_the_tightest_sets_the_pace(clock: SharedClock) -> None:
    everyone, mine = RateLimit(clock, 10 * MB), RateLimit(clock, 2 * MB)
    slow, fast = Stream(everyone, mine), Stream(everyone, RateLimit(clock, None))
    taken = await taken_in(clock, 10, slow, fast)
    assert taken[0] == pytest.approx(20 * MB, rel=0.05)
    assert sum(taken) == pytest.approx(100 * MB, rel=0.05)
    await slow.stop()
    await fast.stop()


async def test_two_limits_of_the_same_rate_cost_no_more_than_one(clock: SharedClock) -> None:
    stream = Stream(RateLimit(clock, MB), RateLimit(clock, MB), size_bytes=4 * MB)
    (taken,) = await taken_in(clock, 40, stream)
    assert taken == pytest.approx(40 * MB, rel=0.1)
    await stream.stop()


async def test_a_changed_rate_holds_for_those_who_wait_already(clock: SharedClock) -> None:
    limit = RateLimit(clock, 10_000)
    stream = Stream(limit, size_bytes=100_000)
    await clock.run(5)
    limit.change(10 * MB)
    (taken,) = await taken_in(clock, 10, stream)
    assert taken == pytest.approx(100 * MB, rel=0.05)
    limit.change(MB)
    (taken,) = await taken_in(clock, 10, stream)
    assert taken == pytest.approx(10 * MB, rel=0.05)
    await stream.stop()


async def test_off_lets_everyone_go(clock: SharedClock) -> None:
    limit = RateLimit(clock, 10)
    waiting = asyncio.create_task(pay_all([limit], 100 * MB))
    await clock.run(1)
    limit.change(None)
    await clock.run(0.3)
    assert waiting.done()
    await pay_all([limit], 100 * MB)
    assert not clock._sleepers


async def test_a_cancelled_waiter_is_no_obstacle(clock: SharedClock) -> None:
    limit = RateLimit(clock, 1000)
    waiting = asyncio.create_task(pay_all([limit], MB))
    await clock.run(1)
    waiting.cancel()
    after = asyncio.create_task(pay_all([limit], 1000))
    await clock.run(10)
    assert after.done()


def test_a_rate_of_nothing_is_a_mistake(clock: SharedClock) -> None:
    with pytest.raises(ValueError, match="pause"):
        RateLimit(clock, 1000).change(0)


async def test_a_limited_target_holds_no_room_while_it_waits(clock: SharedClock) -> None:
    budget = Budget(MB)
    slow = LimitedRoom(budget.share("slow"), RateLimit(clock, 1000))
    waiting = asyncio.create_task(slow.take(100_000))
    await clock.run(5)
    assert budget.held_bytes == 0
    await clock.run(200)
    assert waiting.done()
    assert budget.held_bytes == 100_000
    slow.give(100_000)
    assert budget.held_bytes == 0
