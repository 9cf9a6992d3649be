"""The timetable over simulated days: time stands still but for the test's own hand, so hours take milliseconds."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine

from forged.daemon.schedule import Errand, Timetable
from forged.model.target import CleanupPolicy, HomePolicy, SourceAddress, SourceKind, Target, TargetName, TargetType, Timing

MONDAY = datetime(2026, 6, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3600.0


def target(name: str = "box", *, poll_s: float = 30.0, schedule: str | None = None, cleanup_every_s: float | None = None) -> Target:
    return Target(
        TargetName(name),
        TargetType.GENERIC,
        SourceAddress(SourceKind.LOCAL, "/source"),
        HomePolicy(Path("/destination")),
        timing=Timing(poll_s, schedule),
        cleanup=None if cleanup_every_s is None else CleanupPolicy(every_s=cleanup_every_s),
    )


class Wall:
    """The clock on the wall, with a timetable below it, and everything that the timetable asked for."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self.traveller = traveller
        self.now = MONDAY
        self.asked: list[tuple[datetime, str, Errand]] = []
        self.busy: set[str] = set()
        self.left_out = Counter[str]()
        self.chance = 0.0
        self.table = self.new_table()

    def new_table(self) -> Timetable:
        return Timetable(self._ask, chance=lambda: self.chance, zone=BERLIN)

    def _ask(self, name: TargetName, errand: Errand) -> None:
        if name in self.busy:
            self.left_out[name] += 1
        else:
            self.asked.append((self.now, name, errand))

    async def leap(self, moment: datetime) -> None:
        """The clock shows another time, all at once."""
        self.now = moment.astimezone(UTC)
        self.traveller.move_to(self.now)
        self.table.look()
        for _ in range(3):  # the timetable's turn, the scheduler's, and that of the call
            await asyncio.sleep(0)

    async def pass_time(self, step_s: float, for_s: float) -> None:
        end = self.now + timedelta(seconds=for_s)
        while self.now < end:
            await self.leap(self.now + timedelta(seconds=step_s))

    def times(self, errand: Errand = Errand.POLL, name: str = "box") -> list[datetime]:
        return [moment for moment, who, what in self.asked if (who, what) == (name, errand)]

    def local_times(self) -> list[str]:
        return [f"{moment.astimezone(BERLIN):%d %H:%M %Z}" for moment in self.times()]


@pytest.fixture
async def wall() -> AsyncIterator[Wall]:
    """A started timetable on a Monday at noon."""
    with time_machine.travel(MONDAY, tick=False) as traveller:
        wall = Wall(traveller)
        wall.table.start()
        yield wall
        wall.table.stop()
        await asyncio.sleep(0)


async def test_two_days_of_polls_and_cleanups_come_when_they_should(wall: Wall) -> None:
    wall.table.set(target(poll_s=HOUR_S, cleanup_every_s=6 * HOUR_S))
    await wall.leap(MONDAY)
    await wall.pass_time(step_s=60, for_s=48 * HOUR_S)
    assert wall.times() == [MONDAY + timedelta(hours=hour) for hour in range(49)]
    first = MONDAY + timedelta(minutes=1)  # soon after the start, so that a daemon restarted every day cleans up too
    assert wall.times(Errand.CLEANUP) == [first + timedelta(hours=hour) for hour in range(0, 48, 6)]


async def test_a_target_without_a_cleanup_policy_is_never_due_for_one(wall: Wall) -> None:
    wall.table.set(target())
    await wall.pass_time(step_s=HOUR_S, for_s=48 * HOUR_S)
    assert wall.times(Errand.CLEANUP) == []
    assert wall.table.next_run(TargetName("box"), Errand.CLEANUP) is None


async def test_a_cron_line_waits_for_its_time_and_keeps_local_time(wall: Wall) -> None:
    wall.table.set(target(schedule="30 4 * * mon,wed"))
    await wall.pass_time(step_s=600, for_s=8 * 24 * HOUR_S)
    assert wall.local_times() == ["03 04:30 CEST", "08 04:30 CEST"]


@pytest.mark.parametrize(
    ("line", "day", "expected"),
    [
        ("30 1 * * *", datetime(2026, 3, 28, 23), ["29 01:30 CET", "30 01:30 CEST"]),
        ("30 2 * * *", datetime(2026, 3, 28, 23), ["29 03:30 CEST", "30 02:30 CEST"]),  # there is no 02:30 on that day
        ("0 2,3,4 * * *", datetime(2026, 10, 24, 22), ["25 02:00 CEST", "25 02:00 CET", "25 03:00 CET", "25 04:00 CET"]),
        ("0 3 * * *", datetime(2026, 10, 24, 23), ["25 03:00 CET"]),
    ],
)
async def test_a_cron_line_over_the_change_of_clocks(wall: Wall, line: str, day: datetime, expected: list[str]) -> None:
    await wall.leap(day.replace(tzinfo=BERLIN))
    wall.table.set(target(schedule=line))
    await wall.pass_time(step_s=300, for_s=28 * HOUR_S)
    assert wall.local_times() == expected


async def test_an_hourly_line_runs_every_hour_also_where_clocks_change(wall: Wall) -> None:
    for month, day in ((3, 28), (10, 24)):
        await wall.leap(datetime(2026, month, day, 12, 30, tzinfo=BERLIN))
        wall.asked.clear()
        wall.table.set(target(schedule="0 * * * *"))
        await wall.pass_time(step_s=300, for_s=24 * HOUR_S)
        gaps = {later - earlier for earlier, later in zip(wall.times(), wall.times()[1:], strict=False)}
        assert (len(wall.times()), gaps) == (24, {timedelta(hours=1)})
        wall.table.remove(TargetName("box"))


@pytest.mark.parametrize("due", [target(poll_s=600.0), target(schedule="*/10 * * * *")], ids=["poll", "cron"])
async def test_a_clock_set_back_by_years_does_not_put_off_what_is_due(wall: Wall, due: Target) -> None:
    wall.table.set(due)
    await wall.pass_time(step_s=60, for_s=HOUR_S)
    wall.asked.clear()
    await wall.leap(MONDAY - timedelta(days=3650))
    await wall.pass_time(step_s=60, for_s=HOUR_S)
    assert len(wall.times()) in (6, 7)


@pytest.mark.parametrize("due", [target(poll_s=1.0), target(schedule="* * * * *")], ids=["poll", "cron"])
async def test_what_was_missed_for_fifty_years_is_asked_for_once(wall: Wall, due: Target) -> None:
    """A small box without a clock of its own starts in 1970, until the network tells it better."""
    await wall.leap(datetime(1976, 1, 1, tzinfo=UTC))
    wall.table.set(due)
    await wall.leap(wall.now)
    wall.asked.clear()
    await wall.leap(MONDAY)
    assert wall.times() == [MONDAY]


async def test_nothing_is_skipped_as_late(wall: Wall) -> None:
    """The loop was busy, or the machine slept."""
    wall.table.set(target(schedule="0 4 * * *"))
    await wall.leap(datetime(2026, 6, 2, 9, 17, tzinfo=BERLIN))
    assert wall.local_times() == ["02 09:17 CEST"]


async def test_a_reload_every_half_hour_does_not_starve_an_hourly_poll(wall: Wall) -> None:
    for _ in range(48):
        wall.table.set(target(poll_s=HOUR_S, cleanup_every_s=HOUR_S))
        await wall.pass_time(step_s=300, for_s=HOUR_S / 2)
    assert len(wall.times()) == 24
    assert len(wall.times(Errand.CLEANUP)) == 24


async def test_an_interval_that_every_reload_changes_does_not_starve_either(wall: Wall) -> None:
    for half_hour in range(48):
        wall.table.set(target(poll_s=HOUR_S + half_hour))
        await wall.pass_time(step_s=300, for_s=HOUR_S / 2)
    assert len(wall.times()) >= 23


async def test_a_shorter_interval_counts_at_once(wall: Wall) -> None:
    wall.table.set(target(poll_s=24 * HOUR_S))
    await wall.leap(MONDAY)
    wall.table.set(target(poll_s=30.0))
    assert wall.table.next_run(TargetName("box"), Errand.POLL) == MONDAY + timedelta(seconds=30)


async def test_a_changed_cron_line_counts_at_once_in_both_directions(wall: Wall) -> None:
    for hour in (4, 20, 6):
        wall.table.set(target(schedule=f"0 {hour} * * *"))
        next_run = wall.table.next_run(TargetName("box"), Errand.POLL)
        assert next_run is not None and next_run.astimezone(BERLIN).hour == hour


async def test_what_is_due_already_survives_a_change(wall: Wall) -> None:
    """The line was changed while the loop was too busy to ask."""
    wall.table.set(target(schedule="30 14 * * *"))
    wall.now += timedelta(hours=1)
    wall.traveller.move_to(wall.now)
    wall.table.set(target(schedule="0 6 * * *"))
    await wall.leap(wall.now)
    assert wall.times() == [wall.now]


async def test_a_removed_target_is_due_no_more_and_the_others_go_on(wall: Wall) -> None:
    for name in ("gone", "stays"):
        wall.table.set(target(name, poll_s=HOUR_S, cleanup_every_s=HOUR_S))
    await wall.leap(MONDAY)
    wall.table.remove(TargetName("gone"))
    wall.table.remove(TargetName("never known"))
    await wall.pass_time(step_s=600, for_s=12 * HOUR_S)
    assert (len(wall.times(name="gone")), len(wall.times(name="stays"))) == (1, 13)
    assert wall.times(Errand.CLEANUP, "gone") == []


async def test_a_target_that_lost_its_cleanup_policy_is_polled_still(wall: Wall) -> None:
    wall.table.set(target(cleanup_every_s=60.0))
    wall.table.set(target())
    await wall.pass_time(step_s=30, for_s=HOUR_S)
    assert wall.times(Errand.CLEANUP) == []
    assert len(wall.times()) == 120


async def test_errands_that_take_long_do_not_pile_up(wall: Wall) -> None:
    wall.table.set(target(poll_s=60.0))
    await wall.leap(MONDAY)
    wall.busy.add("box")
    await wall.pass_time(step_s=60, for_s=HOUR_S)
    wall.busy.clear()
    await wall.leap(wall.now)
    assert (len(wall.times()), wall.left_out["box"]) == (1, 60)
    await wall.pass_time(step_s=60, for_s=60)
    assert len(wall.times()) == 2


async def test_many_targets_do_not_begin_in_the_same_moment(wall: Wall) -> None:
    wall.chance = 0.9
    names = [TargetName(f"box-{number}") for number in range(100)]
    for name in names:
        wall.table.set(target(name))
    runs = [wall.table.next_run(name, Errand.POLL) for name in names]
    assert runs[0] == MONDAY
    assert all(run is not None and MONDAY <= run <= MONDAY + timedelta(seconds=5) for run in runs)
    assert len(set(runs)) == 100


async def test_jitter_stays_within_a_tenth_and_a_few_seconds(wall: Wall) -> None:
    wall.chance = 0.999
    wall.table.set(target(poll_s=10.0))
    wall.table.set(target("slow", poll_s=24 * HOUR_S))
    await wall.leap(MONDAY + timedelta(seconds=1))
    runs = [wall.table.next_run(TargetName(name), Errand.POLL) for name in ("box", "slow")]
    late_s = [(run - wall.now).total_seconds() - due_s for run, due_s in zip(runs, (10, 24 * HOUR_S), strict=True) if run]
    assert late_s == [pytest.approx(0.999), pytest.approx(4.995)]


async def test_targets_set_before_the_start_are_due_at_the_start(wall: Wall) -> None:
    table = wall.new_table()
    table.set(target("early"))
    table.set(target("early", poll_s=60.0))
    await wall.leap(MONDAY)
    assert wall.asked == []
    table.start()
    for _ in range(3):
        await asyncio.sleep(0)
    assert wall.times(name="early") == [MONDAY]
    table.stop()


async def test_a_stopped_timetable_asks_for_nothing_not_even_for_what_is_due(wall: Wall) -> None:
    wall.table.set(target())
    await asyncio.sleep(0)  # the scheduler has seen that it is due; the asking comes in the loop's next turn
    wall.table.stop()
    wall.table.stop()
    await wall.pass_time(step_s=60, for_s=HOUR_S)
    assert wall.asked == []


async def test_it_looks_at_the_clock_by_itself(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one test in real time: nobody calls `look` in a daemon."""
    monkeypatch.setattr("forged.daemon.schedule.LOOK_S", 0.01)
    table = wall.new_table()
    table.start()
    await asyncio.sleep(0)
    table.set(target(poll_s=HOUR_S))
    wall.traveller.move_to(MONDAY + timedelta(hours=3))
    async with asyncio.timeout(10):
        while len(wall.asked) < 2:
            await asyncio.sleep(0.01)
            wall.traveller.shift(HOUR_S)
    table.stop()


async def test_a_mistake_in_the_asked_reaches_the_loop_and_does_not_end_the_polls(wall: Wall) -> None:
    told: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def fail(name: TargetName, errand: Errand) -> bool:
        raise ArithmeticError(name)

    wall._ask = fail  # type: ignore[method-assign]
    wall.table = Timetable(fail, chance=lambda: 0.0)
    wall.table.start()
    wall.table.set(target(poll_s=60.0))
    await wall.leap(MONDAY)
    await wall.pass_time(step_s=60, for_s=120)
    assert [type(mistake) for mistake in told] == [ArithmeticError] * 3


async def test_apscheduler_keeps_quiet(wall: Wall, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    wall.table.set(target(cleanup_every_s=60.0))
    await wall.pass_time(step_s=60, for_s=HOUR_S)
    assert caplog.records == []
