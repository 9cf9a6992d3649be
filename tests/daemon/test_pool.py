"""The pool that all targets share, under transfers as lanes do them, over lines of some speed and length. In virtual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.config.timetable import parse_bandwidth
from forged.daemon.pool import Pool
from forged.kit.budget import Room
from forged.kit.clock import HandClock
from forged.kit.rate import FALLING_S
from forged.model.settings import TransferSettings
from forged.model.target import Bandwidth, RateStep, Target, TargetName, TransferPolicy
from forged.rules.bandwidth import MINUTES_PER_DAY, rate_at
from tests.support.virtual import LoopClock, virtual
from tests.support.world import TARGET

MB = 1_000_000
WINDOW_S = 10.0


def bound(bytes_per_s: int | None) -> Bandwidth:
    return Bandwidth() if bytes_per_s is None else Bandwidth((RateStep(0, bytes_per_s),))


def target(name: str, own: int | None = None) -> Target:
    return replace(TARGET, name=TargetName(name), transfer=TransferPolicy(bandwidth=bound(own)))


@dataclass(eq=False)
class Line:
    """The line to one box: its lanes ask ahead, each up to a window, and bytes come at the line's speed after its delay."""

    room: Room
    lanes: int = 3
    bytes_per_s: float = 125 * MB
    delay_s: float = 0.05
    wish_bytes: int = 256 << 10
    window_bytes: int = 8 << 20
    arrived_bytes: int = 0
    ahead_bytes: int = 0
    hangs: bool = False
    _free_s: float = 0.0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> Line:
        self._tasks += [asyncio.create_task(self._feed()) for _ in range(self.lanes)]
        return self

    async def _feed(self) -> None:
        ahead, moved = [0], asyncio.Event()

        def arrive() -> None:
            ahead[0] -= self.wish_bytes
            self._arrived(self.wish_bytes)
            moved.set()

        while True:
            while ahead[0] >= self.window_bytes:
                moved.clear()
                await moved.wait()
            await self.room.take(self.wish_bytes)
            ahead[0] += self.wish_bytes
            self._ask(self.wish_bytes, arrive)

    async def bring(self, size_bytes: int) -> None:
        """One small file more, on a lane of its own."""
        await self.room.take(size_bytes)
        home = asyncio.Event()

        def arrive() -> None:
            self._arrived(size_bytes)
            home.set()

        self._ask(size_bytes, arrive)
        await home.wait()

    def _ask(self, size_bytes: int, arrive: object) -> None:
        loop = asyncio.get_running_loop()
        self.ahead_bytes += size_bytes
        self._free_s = max(self._free_s, loop.time()) + size_bytes / self.bytes_per_s
        if not self.hangs:
            loop.call_at(self._free_s + self.delay_s, arrive)  # type: ignore[arg-type]

    def _arrived(self, size_bytes: int) -> None:
        self.ahead_bytes -= size_bytes
        self.arrived_bytes += size_bytes
        self.room.give(size_bytes)


class Ground:
    """A pool with rooms that stay open for the test."""

    def __init__(self, *, all_: int | None = None, in_flight_bytes: int = 64 * MB) -> None:
        self.pool = Pool(TransferSettings(in_flight_bytes=in_flight_bytes, bandwidth=bound(all_)), LoopClock())
        self._rooms = []

    def room(self, name: str = "box", own: int | None = None) -> Room:
        opened = self.pool.room(target(name, own))
        self._rooms.append(opened)
        return opened.__enter__()


async def arrived_in(seconds: float, *lines: Line) -> list[int]:
    before = [line.arrived_bytes for line in lines]
    await asyncio.sleep(seconds)
    return [line.arrived_bytes - start for line, start in zip(lines, before, strict=True)]


RATES = (MB, 5 * MB, 20 * MB, 100 * MB)
CHANGED = [(None, 5 * MB), (None, 20 * MB), (100 * MB, 5 * MB), (MB, 20 * MB), (5 * MB, None)]


class TestTheFigure:
    @pytest.mark.parametrize("rate", RATES)
    @pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.15])
    @pytest.mark.parametrize("whose", ["own", "all"])
    @virtual
    async def test_every_window_of_one_target(self, rate: int, delay_s: float, whose: str) -> None:
        ground = Ground(all_=rate if whose == "all" else None)
        line = Line(ground.room(own=rate if whose == "own" else None), delay_s=delay_s).start()
        await asyncio.sleep(delay_s)  # the first byte
        for _ in range(4):
            (arrived,) = await arrived_in(WINDOW_S, line)
            assert arrived == pytest.approx(WINDOW_S * rate, rel=0.05)

    @pytest.mark.parametrize("rate", RATES)
    @virtual
    async def test_three_targets_share_it_whatever_their_lanes_their_lines_and_their_files(self, rate: int) -> None:
        ground = Ground(all_=rate)
        lines = [
            Line(ground.room("near"), lanes=1, delay_s=0.001).start(),
            Line(ground.room("far"), lanes=8, delay_s=0.15).start(),
            Line(ground.room("small"), lanes=3, wish_bytes=200_000).start(),
        ]
        await asyncio.sleep(0.15)
        for _ in range(4):
            arrived = await arrived_in(WINDOW_S, *lines)
            assert sum(arrived) == pytest.approx(WINDOW_S * rate, rel=0.05)
        total = await arrived_in(6 * WINDOW_S, *lines)
        assert max(total) <= 1.05 * min(total), total

    @virtual
    async def test_off_the_line_is_full(self) -> None:
        ground = Ground()
        line = Line(ground.room()).start()
        await asyncio.sleep(1)
        (arrived,) = await arrived_in(WINDOW_S, line)
        assert arrived == pytest.approx(WINDOW_S * 125 * MB, rel=0.01)


class TestChanging:
    @pytest.mark.parametrize("whose", [None, "box"])
    @pytest.mark.parametrize(("before", "after"), CHANGED)
    @virtual
    async def test_in_mid_transfer(self, whose: str | None, before: int | None, after: int | None) -> None:
        ground = Ground(all_=before if whose is None else None)
        line = Line(ground.room(own=before if whose else None), delay_s=0.15).start()
        await asyncio.sleep(WINDOW_S)
        ground.pool.override(whose, bound(after))
        await asyncio.sleep(FALLING_S)
        for _ in range(3):
            (arrived,) = await arrived_in(WINDOW_S, line)
            assert arrived == pytest.approx(WINDOW_S * (after or 125 * MB), rel=0.05)

    @pytest.mark.parametrize("whose", [None, "box"])
    @virtual
    async def test_what_was_asked_ahead_before_the_change_comes_out_of_the_new_rate(self, whose: str | None) -> None:
        """25 MB on the way of a line of 5 MB/s; then all of it is allowed 3 MB/s only."""
        ground = Ground()
        line = Line(ground.room(), bytes_per_s=5 * MB).start()
        await asyncio.sleep(WINDOW_S)
        assert line.ahead_bytes >= 24 * MB
        ground.pool.override(whose, bound(3 * MB))
        await asyncio.sleep(FALLING_S)
        (arrived,) = await arrived_in(WINDOW_S, line)
        assert arrived == pytest.approx(WINDOW_S * 3 * MB, rel=0.05)

    @virtual
    async def test_what_comes_at_once_is_past_and_nobody_pays_for_it_with_silence(self) -> None:
        ground = Ground()
        line = Line(ground.room(), bytes_per_s=125 * MB).start()
        await asyncio.sleep(WINDOW_S)
        assert line.ahead_bytes >= 24 * MB
        ground.pool.override(None, bound(MB))
        await asyncio.sleep(FALLING_S)
        for _ in range(10):
            (arrived,) = await arrived_in(1, line)
            assert arrived == pytest.approx(MB, rel=0.3)

    @virtual
    async def test_a_tick_of_the_timetable_that_changes_nothing_costs_nothing(self) -> None:
        ground, twin = Ground(all_=5 * MB), Ground(all_=5 * MB)
        line, other = Line(ground.room()).start(), Line(twin.room()).start()
        for _ in range(200):
            await asyncio.sleep(0.1)
            ground.pool.set_rates()
        assert line.arrived_bytes == other.arrived_bytes


class TestNobodyStarves:
    @pytest.mark.parametrize("rate", [None, *RATES])
    @pytest.mark.parametrize("in_flight_bytes", [4 * MB, 64 * MB])
    @virtual
    async def test_small_files_beside_large_ones_of_any_target(self, rate: int | None, in_flight_bytes: int) -> None:
        """No small file waits for longer than a wish of each lane takes, and what is on the line already."""
        ground = Ground(all_=rate, in_flight_bytes=in_flight_bytes)
        same = Line(ground.room("same"), lanes=3).start()
        other = Line(ground.room("other"), lanes=0)
        await asyncio.sleep(20)
        wish_s = same.wish_bytes / (rate or same.bytes_per_s)
        for line, wishes in ((other, 2), (same, 4)):
            for _ in range(20):
                began_s = asyncio.get_running_loop().time()
                await line.bring(100_000)
                on_the_line_s = 2 * line.delay_s + 2 * in_flight_bytes / line.bytes_per_s
                assert asyncio.get_running_loop().time() - began_s <= wishes * wish_s + on_the_line_s

    @virtual
    async def test_a_line_that_hangs_keeps_nobody_out(self) -> None:
        ground = Ground()
        hanging = Line(ground.room("hangs"), lanes=32, hangs=True).start()
        await asyncio.sleep(1)
        well = Line(ground.room("well"), lanes=3).start()
        await asyncio.sleep(1)
        (arrived,) = await arrived_in(WINDOW_S, well)
        assert arrived == pytest.approx(WINDOW_S * 125 * MB, rel=0.05)
        assert hanging.ahead_bytes > 50 * MB

    @virtual
    async def test_what_is_held_is_told_for_each_and_for_all(self) -> None:
        ground = Ground()
        one, other = ground.room("one"), ground.room("other")
        await one.take(10)
        await other.take(5)
        assert [ground.pool.held_bytes(name) for name in ("one", "other", "nobody", None)] == [10, 5, 0, 15]


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin leaps from 02:00 to 03:00, on a Sunday
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe, half an hour
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 11, 23, 0, tzinfo=UTC),  # Sunday becomes Monday
    datetime(2027, 1, 1, 0, tzinfo=UTC),
]
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
TABLES = st.dictionaries(st.integers(0, MINUTES_PER_WEEK - 1), st.none() | st.integers(1, 10**9), min_size=1, max_size=20)
MOMENTS = st.builds(lambda change, minutes: change + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-1500, 1500))


@contextmanager
def living_in(zone: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        try:
            yield
        finally:
            patch.undo()
            time.tzset()


def pool_at(moment: datetime, bandwidth: Bandwidth) -> Pool:
    return Pool(TransferSettings(bandwidth=bandwidth), HandClock(round(moment.timestamp()) * 10**9))


def now(pool: Pool) -> int | None:
    return pool.limits()[None][1]


class TestTimetable:
    @settings(max_examples=300, deadline=None)
    @given(zone=st.sampled_from(ZONES), steps=TABLES, moment=MOMENTS)
    def test_the_step_of_the_local_time_holds_also_where_clocks_change(
        self, zone: str, steps: dict[int, int | None], moment: datetime
    ) -> None:
        bandwidth = Bandwidth(tuple(RateStep(minute, rate) for minute, rate in sorted(steps.items())))
        local = moment.astimezone(ZoneInfo(zone))
        with living_in(zone):
            assert now(pool_at(moment, bandwidth)) == rate_at(bandwidth, local.weekday(), local.hour * 60 + local.minute)

    def test_a_step_in_the_hour_that_is_left_out_holds_when_the_clock_has_passed_it(self) -> None:
        night = parse_bandwidth("02:30,5MB/s 08:00,off")
        with living_in("Europe/Berlin"):
            leap = datetime(2026, 3, 29, 1, tzinfo=UTC)
            assert now(pool_at(leap - timedelta(minutes=1), night)) is None
            assert now(pool_at(leap, night)) == 5 * MB

    def test_in_the_hour_that_comes_twice_the_table_holds_twice(self) -> None:
        night = parse_bandwidth("02:00,1MB/s 02:30,5MB/s 08:00,off")
        with living_in("Europe/Berlin"):
            first = datetime(2026, 10, 25, 0, tzinfo=UTC)
            quarters = [now(pool_at(first + timedelta(minutes=15 * n), night)) for n in range(9)]
            assert quarters == [MB, MB, 5 * MB, 5 * MB, MB, MB, 5 * MB, 5 * MB, 5 * MB]

    def test_the_week_ends_at_the_local_midnight(self) -> None:
        weekend = parse_bandwidth("Mon-00:00,5MB/s Sat-00:00,off")
        with living_in("America/New_York"):
            midnight = datetime(2026, 11, 23, 5, tzinfo=UTC)
            assert now(pool_at(midnight - timedelta(seconds=1), weekend)) is None
            assert now(pool_at(midnight, weekend)) == 5 * MB

    @virtual
    async def test_each_step_holds_from_its_minute_on(self) -> None:
        clock = LoopClock()
        began = datetime.fromtimestamp(clock.now_ns() // 10**9).replace(second=0)
        minutes = [began + timedelta(minutes=n) for n in range(1, 6)]
        text = " ".join(f"{at:%H:%M},{n}MB/s" for n, at in enumerate(minutes, 1))
        pool = Pool(TransferSettings(bandwidth=parse_bandwidth(text)), clock)
        keeping = asyncio.create_task(pool.keep_time())
        for n, at in enumerate(minutes, 1):
            await asyncio.sleep(at.timestamp() - clock.now_ns() / 1e9 + 0.005)
            assert now(pool) == n * MB
        keeping.cancel()

    @virtual
    async def test_a_clock_that_is_set_is_followed_soon(self) -> None:
        class SetClock(LoopClock):
            ahead_ns = 0

            def now_ns(self) -> int:
                return super().now_ns() + self.ahead_ns

        clock = SetClock()
        began = datetime.fromtimestamp(clock.now_ns() // 10**9)
        text = f"{began - timedelta(hours=1):%H:%M},1MB/s {began + timedelta(hours=3):%H:%M},5MB/s"
        pool = Pool(TransferSettings(bandwidth=parse_bandwidth(text)), clock)
        keeping = asyncio.create_task(pool.keep_time())
        await asyncio.sleep(100)
        assert now(pool) == MB
        clock.ahead_ns = 3 * 3600 * 10**9
        await asyncio.sleep(16)
        assert now(pool) == 5 * MB
        keeping.cancel()

    @pytest.mark.parametrize(
        ("began", "changes"),
        [
            (
                datetime(2026, 3, 27, 12, tzinfo=UTC),  # the night to Sunday has 23 hours: no 02:30
                ["Fri 22:00 1", "Sat 00:00 off", "Sat 02:30 5", "Sat 08:00 off", "Sat 22:00 1", "Sun 03:00 5", "Sun 08:00 off"],
            ),
            (
                datetime(2026, 10, 23, 12, tzinfo=UTC),  # the night to Sunday has 25 hours: 02:30 comes twice
                [
                    *("Fri 22:00 1", "Sat 00:00 off", "Sat 02:30 5", "Sat 08:00 off", "Sat 22:00 1"),
                    *("Sun 02:30 5", "Sun 02:00 1", "Sun 02:30 5", "Sun 08:00 off"),
                ],
            ),
        ],
        ids=["spring", "autumn"],
    )
    def test_over_midnight_and_clock_changes_it_turns_at_the_minute_of_the_wall(self, began: datetime, changes: list[str]) -> None:
        """As the daemon runs it, over two days; what a wall clock in Berlin shows is taken from the zone's own table."""
        seen: list[str] = []

        class WallClock(LoopClock):
            def now_ns(self) -> int:
                return round(began.timestamp() * 1e9) + round(self.monotonic_s() * 1e9)

        @virtual
        async def two_days() -> None:
            pool = Pool(TransferSettings(bandwidth=parse_bandwidth("22:00,1MB/s 02:30,5MB/s 08:00,off Sat-00:00,off")), WallClock())
            keeping = asyncio.create_task(pool.keep_time())
            before = now(pool)
            for minute in range(1, 48 * 60):
                await asyncio.sleep(minute * 60 + 0.01 - asyncio.get_running_loop().time())
                if now(pool) != before:
                    before = now(pool)
                    wall = (began + timedelta(minutes=minute)).astimezone(ZoneInfo("Europe/Berlin"))
                    seen.append(f"{wall:%a %H:%M} {'off' if before is None else before // MB}")
            keeping.cancel()

        with living_in("Europe/Berlin"):
            two_days()
        assert seen == changes
