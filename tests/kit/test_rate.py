"""Bandwidth limits, in virtual time: the figure is kept within 5 %, for all payers alike."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from forged.kit.budget import ANY_PORTION_BYTES, Budget, Unbounded
from forged.kit.rate import FALLING_S, LEAST_PORTION_BYTES, WINDOW_S, LimitedRoom, Payer, RateLimit
from tests.support.virtual import LoopClock, virtual

MB = 1_000_000
WISH = 256 << 10


def limit(bytes_per_s: int | None = None) -> RateLimit:
    return RateLimit(LoopClock(), bytes_per_s)


@dataclass
class Flight:
    held_bytes: int


class Stream:
    """Someone who takes as fast as the limits let him, on several lanes."""

    def __init__(self, *payers: Payer, size_bytes: int = WISH, lanes: int = 1) -> None:
        self.room = LimitedRoom(Unbounded(), *payers)
        self.size_bytes, self.taken_bytes = size_bytes, 0
        self.tasks = [asyncio.create_task(self._run()) for _ in range(lanes)]

    async def _run(self) -> None:
        while True:
            await self.room.take(self.size_bytes)
            self.taken_bytes += self.size_bytes
            await asyncio.sleep(0)

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()


async def taken_in(seconds: float, *streams: Stream) -> list[int]:
    before = [stream.taken_bytes for stream in streams]
    await asyncio.sleep(seconds)
    return [stream.taken_bytes - start for stream, start in zip(streams, before, strict=True)]


def even(parts: Sequence[int]) -> bool:
    return max(parts) <= 1.05 * min(parts)


class TestTheFigure:
    @pytest.mark.parametrize("rate", [50_000, MB, 5 * MB, 20 * MB, 100 * MB, 500 * MB])
    @pytest.mark.parametrize("lanes", [1, 3])
    @pytest.mark.parametrize("idle_s", [0, 3600])
    @virtual
    async def test_ten_seconds_bring_ten_times_the_figure_from_the_first_on(self, rate: int, lanes: int, idle_s: int) -> None:
        one = limit(rate)
        await asyncio.sleep(idle_s)
        stream = Stream(one.payer(), size_bytes=min(WISH, one.portion_bytes), lanes=lanes)
        for _ in range(5):
            (taken,) = await taken_in(WINDOW_S, stream)
            assert taken == pytest.approx(WINDOW_S * rate, rel=0.05)

    @pytest.mark.parametrize("rate", [MB, 5 * MB])
    @virtual
    async def test_wishes_of_a_quarter_megabyte_are_fine_enough_for_one_megabyte_a_second(self, rate: int) -> None:
        (taken,) = await taken_in(WINDOW_S, Stream(limit(rate).payer(), lanes=3))
        assert taken == pytest.approx(WINDOW_S * rate, rel=0.05)

    @virtual
    async def test_what_is_taken_in_portions_is_smooth_in_every_window(self) -> None:
        one = limit(100_000)
        stream = Stream(one.payer(), size_bytes=one.portion_bytes)
        for _ in range(100):
            (taken,) = await taken_in(1, stream)
            assert taken == pytest.approx(100_000, rel=0.15)

    @pytest.mark.parametrize("late_s", [0.05, 0.3])
    @virtual
    async def test_a_busy_loop_that_wakes_late_costs_no_bandwidth(self, late_s: float) -> None:
        one = limit(20 * MB)
        stream = Stream(one.payer())
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        for _ in range(20):
            loop._leaping.now_s += late_s  # type: ignore[attr-defined]  # nobody was served in this time
            await asyncio.sleep(0.5 - late_s)
        assert stream.taken_bytes == pytest.approx(11 * 20 * MB, rel=0.03)

    @virtual
    async def test_of_stacked_limits_the_tightest_sets_the_pace(self) -> None:
        everyone, mine = limit(10 * MB), limit(2 * MB)
        slow, fast = Stream(mine.payer(), everyone.payer()), Stream(limit().payer(), everyone.payer())
        taken = await taken_in(10, slow, fast)
        assert taken[0] == pytest.approx(20 * MB, rel=0.05)
        assert sum(taken) == pytest.approx(100 * MB, rel=0.05)

    @virtual
    async def test_two_limits_of_the_same_rate_cost_no_more_than_one(self) -> None:
        (taken,) = await taken_in(10, Stream(limit(MB).payer(), limit(MB).payer()))
        assert taken == pytest.approx(10 * MB, rel=0.05)

    @virtual
    async def test_a_room_is_to_be_filled_in_portions_of_the_tightest_limit(self) -> None:
        off, loose, tight, snail = limit(), limit(100 * MB), limit(MB), limit(10)
        assert off.portion_bytes == ANY_PORTION_BYTES
        assert LimitedRoom(Unbounded(), off.payer(), loose.payer(), tight.payer()).portion_bytes == tight.portion_bytes == 50_000
        assert snail.portion_bytes == LEAST_PORTION_BYTES

    def test_a_rate_of_nothing_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="pause"):
            RateLimit(StandingClock(), 1000).change(0)


class StandingClock(LoopClock):
    def monotonic_s(self) -> float:
        return 0.0


class TestOff:
    @virtual
    async def test_nobody_waits_and_no_time_is_asked_for(self) -> None:
        room = LimitedRoom(Budget(MB).share("box"), RateLimit(StandingClock()).payer(), RateLimit(StandingClock()).payer())
        taking = room.take(MB)
        with pytest.raises(StopIteration):
            taking.send(None)

    @virtual
    async def test_switched_off_it_lets_everyone_go_at_once(self) -> None:
        one = limit(10)
        waiting = [asyncio.create_task(one.payer().pay(100 * MB)) for _ in range(3)]
        await asyncio.sleep(1)
        assert [task.done() for task in waiting] == [True, False, False]
        one.change(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert all(task.done() for task in waiting)


class TestFairness:
    @virtual
    async def test_payers_get_equal_parts_whatever_their_lanes_and_the_size_of_their_wishes(self) -> None:
        one = limit(10 * MB)
        streams = [
            Stream(one.payer(), lanes=1),
            Stream(one.payer(), lanes=8),
            Stream(one.payer(), lanes=3, size_bytes=5_000),
            Stream(one.payer(), lanes=1, size_bytes=MB),
        ]
        taken = await taken_in(60, *streams)
        assert sum(taken) == pytest.approx(600 * MB, rel=0.05)
        assert even(taken), taken

    @virtual
    async def test_who_has_been_away_has_earned_nothing_by_it(self) -> None:
        one = limit(10 * MB)
        there = Stream(one.payer())
        await asyncio.sleep(100)
        taken = await taken_in(10, there, Stream(one.payer()))
        assert even(taken), taken

    @virtual
    async def test_what_one_cannot_use_is_for_the_others(self) -> None:
        one = limit(9 * MB)
        bound, free, other = Stream(limit(MB).payer(), one.payer()), Stream(one.payer()), Stream(one.payer())
        taken = await taken_in(20, bound, free, other)
        assert taken[0] == pytest.approx(20 * MB, rel=0.05)
        assert taken[1] == pytest.approx(80 * MB, rel=0.05)
        assert taken[2] == pytest.approx(80 * MB, rel=0.05)

    @virtual
    async def test_a_small_wish_waits_for_one_wish_of_each_other_lane_and_not_longer(self) -> None:
        one = limit(MB)
        large = Stream(one.payer(), lanes=3)
        await asyncio.sleep(10.1)
        waited_s = []
        for payer in (one.payer(), large.room._payers[0]):  # another target's, and one of the same
            began_s = asyncio.get_running_loop().time()
            await payer.pay(1000)
            waited_s.append(asyncio.get_running_loop().time() - began_s)
        assert waited_s[0] <= 1.1 * WISH / MB
        assert waited_s[1] <= 4.1 * WISH / MB

    @settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.generate))  # shrinking takes too long
    @given(data=st.data(), rate=st.integers(2 * MB, 100 * MB))
    def test_fair_and_within_five_percent_whoever_comes(self, data: st.DataObject, rate: int) -> None:
        sizes = st.integers(rate // 400, WISH)  # worth 2.5 ms or more
        streams = data.draw(st.lists(st.tuples(st.integers(1, 8), sizes), min_size=2, max_size=6))

        @virtual
        async def run() -> None:
            one = limit(rate)
            made = [Stream(one.payer(), lanes=lanes, size_bytes=size) for lanes, size in streams]
            taken = await taken_in(20, *made)
            assert sum(taken) == pytest.approx(20 * rate, rel=0.05)
            assert even(taken), taken
            for stream in made:
                stream.stop()

        run()


class TestChanging:
    @pytest.mark.parametrize(("before", "after"), [(10_000, 10 * MB), (10 * MB, 50_000), (None, MB), (MB, None)])
    @virtual
    async def test_a_changed_rate_holds_at_once_for_those_who_wait_already(self, before: int | None, after: int | None) -> None:
        one = limit(before)
        stream = Stream(one.payer(), limit(40 * MB).payer(), size_bytes=50_000, lanes=3)
        await asyncio.sleep(5)
        one.change(after)
        for _ in range(2):
            (taken,) = await taken_in(WINDOW_S, stream)
            assert taken == pytest.approx(WINDOW_S * (after or 40 * MB), rel=0.11 if after == 50_000 else 0.05)

    @virtual
    async def test_the_same_rate_again_changes_nothing(self) -> None:
        one, twin = limit(MB), limit(MB)
        stream, other = Stream(one.payer(), size_bytes=MB), Stream(twin.payer(), size_bytes=MB)
        for _ in range(100):
            await asyncio.sleep(0.15)
            one.change(MB)
        assert stream.taken_bytes == other.taken_bytes

    @pytest.mark.parametrize(("before", "after"), [(None, MB), (100 * MB, MB), (MB, 20 * MB)])
    @virtual
    async def test_what_was_asked_for_before_and_comes_after_half_a_second_comes_out_of_the_new_rate(
        self, before: int | None, after: int
    ) -> None:
        flight = Flight(8 * MB)
        one = RateLimit(LoopClock(), before, behind=flight)
        one.change(after)
        stream = Stream(one.payer(), size_bytes=50_000)
        await asyncio.sleep(FALLING_S - 0.01)
        flight.held_bytes = 5 * MB + stream.taken_bytes
        (taken,) = await taken_in(WINDOW_S, stream)
        assert taken + 5 * MB == pytest.approx(WINDOW_S * after, rel=0.05)
        (taken,) = await taken_in(WINDOW_S, stream)
        assert taken == pytest.approx(WINDOW_S * after, rel=0.05)

    @virtual
    async def test_what_has_paid_since_is_not_paid_for_twice(self) -> None:
        flight = Flight(0)
        one = RateLimit(LoopClock(), behind=flight)
        one.change(MB)
        stream = Stream(one.payer(), size_bytes=10_000)
        await asyncio.sleep(FALLING_S - 0.01)
        flight.held_bytes = stream.taken_bytes
        (taken,) = await taken_in(WINDOW_S, stream)
        assert taken == pytest.approx(WINDOW_S * MB, rel=0.02)

    @virtual
    async def test_a_flood_that_was_asked_for_before_silences_it_for_one_window_only(self) -> None:
        one = RateLimit(LoopClock(), behind=Flight(64 * MB))
        one.change(10_000)
        stream = Stream(one.payer(), size_bytes=500)
        await asyncio.sleep(FALLING_S)
        assert (await taken_in(WINDOW_S - 0.1, stream))[0] <= 500
        (taken,) = await taken_in(WINDOW_S, stream)
        assert taken == pytest.approx(100_000, rel=0.05)


class TestCancelling:
    @virtual
    async def test_a_cancelled_waiter_is_no_obstacle_and_has_paid_nothing(self) -> None:
        one = limit(1000)
        await one.payer().pay(1000)
        waiting = [asyncio.create_task(one.payer().pay(1_000_000)) for _ in range(3)]
        await asyncio.sleep(0.5)
        for task in waiting:
            task.cancel()
        began_s = asyncio.get_running_loop().time()
        await one.payer().pay(1)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.5, abs=0.01)

    @virtual
    async def test_cancelled_in_the_moment_of_its_grant_it_has_paid_nothing(self) -> None:
        one = limit(1000)
        await one.payer().pay(1000)
        waiting = asyncio.create_task(one.payer().pay(1_000_000))
        await asyncio.sleep(0.5)
        one.change(2000)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        began_s = asyncio.get_running_loop().time()
        await one.payer().pay(1)
        assert asyncio.get_running_loop().time() == began_s


@virtual
async def test_a_limited_target_holds_no_room_while_it_waits() -> None:
    budget = Budget(MB)
    slow = LimitedRoom(budget.share("slow"), limit(1000).payer())
    await slow.take(100_000)
    slow.give(100_000)
    waiting = asyncio.create_task(slow.take(100_000))
    await asyncio.sleep(99)
    assert budget.held_bytes == 0
    await asyncio.sleep(2)
    assert waiting.done()
    assert budget.held_bytes == 100_000
