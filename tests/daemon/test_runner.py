"""The life of one target: wishes in turn, trouble that stays here, and an end for every wish."""

from __future__ import annotations

import asyncio
from datetime import datetime

from forged.daemon import answers
from forged.daemon.fleet import BEGIN_ANEW_S
from forged.daemon.runner import FIRST_PAUSE_S, LONGEST_PAUSE_S, Fault, Wish
from forged.daemon.standing import State
from forged.model.errors import AuthRefused, Cancelled, DestinationMissing, ForgedError, SourceLost
from forged.model.jobs import JobStatus
from forged.model.target import Timing, TransferPolicy
from forged.sources.memory_box import MemoryBox
from forged.sources.memory_faults import CutListing, CutWatch, RefuseConnections
from forged.sources.memory_faults import Fault as BoxFault
from tests.daemon.grounds import Gate, Grounds, grounds, target
from tests.support.virtual import virtual


class Said:
    """A wish that writes down what becomes of it."""

    def __init__(self, name: str, log: list[str], *, urgent: bool = True, error: BaseException | None = None) -> None:
        self.name, self.log, self.error = name, log, error
        self.refused: ForgedError | None = None
        self.wish = Wish(name, self.work, self.refuse, urgent)

    async def work(self) -> None:
        self.log.append(f"{self.name} begins")
        await asyncio.sleep(1)
        if self.error is not None:
            raise self.error
        self.log.append(f"{self.name} ends")

    async def refuse(self, error: ForgedError) -> None:
        self.log.append(f"{self.name} refused")
        self.refused = error


@virtual
async def test_wishes_are_done_one_after_the_other_in_the_order_asked() -> None:
    async with grounds(target()) as world:
        log: list[str] = []
        for name in ("one", "two", "three"):
            world.member().runner.ask(Said(name, log).wish)
        await asyncio.sleep(10)
        assert log == [f"{name} {what}" for name in ("one", "two", "three") for what in ("begins", "ends")]


@virtual
async def test_the_source_is_opened_once_and_stays_open() -> None:
    async with grounds(target()) as world:
        for _ in range(3):
            assert (await world.synced()).status is JobStatus.COMPLETE
        assert world.opened == ["box"]


@virtual
async def test_a_source_that_does_not_answer_is_tried_again_with_growing_pauses() -> None:
    async with grounds(target(), faults=(RefuseConnections(10_000),)) as world:
        assert world.member().standing.state is State.UNREACHABLE
        await asyncio.sleep(60)
        first_minute = len(world.opened)
        assert 4 <= first_minute <= 60
        await asyncio.sleep(86_400)
        a_day = len(world.opened) - first_minute
        assert 86_400 / LONGEST_PAUSE_S <= a_day <= 3 * 86_400 / LONGEST_PAUSE_S + 20
        assert world.heard.said == ["connection refused"], "one line, however often it is tried"


@virtual
async def test_when_it_is_tried_again_by_itself_is_told_and_true() -> None:
    refusal = RefuseConnections(10_000)
    async with grounds(target(), faults=(refusal,)) as world:
        await asyncio.sleep(3_600)
        refusal.left = 0
        (told,) = answers.target(world.member().standing)["problems"]
        assert told["kind"] == "source_unreachable" and told["next_try"] is not None
        left_s = (datetime.fromisoformat(told["next_try"]).timestamp() * 1e9 - world.clock.now_ns()) / 1e9
        assert 0 < left_s <= LONGEST_PAUSE_S
        await asyncio.sleep(left_s - 0.1)
        assert world.member().standing.state is State.UNREACHABLE
        await asyncio.sleep(0.2)
        assert world.member().standing.state is State.IDLE
        assert world.member().standing.next_try_ns is None


@virtual
async def test_a_box_that_comes_back_is_looked_at_at_once_and_said_to_be_well() -> None:
    refusal = RefuseConnections(5)
    async with grounds(target(), faults=(refusal,)) as world:
        await world.put(b"a.png", b"A")
        await asyncio.sleep(300)
        assert world.at_home() == {b"a.png": b"A"}
        assert world.member().standing.state is State.IDLE
        assert world.heard.said == ["connection refused", "well again: connection refused"]


@virtual
async def test_a_persons_wish_ends_the_pause_before_the_next_attempt() -> None:
    refusal = RefuseConnections(10_000)
    async with grounds(target(), faults=(refusal,)) as world:
        await asyncio.sleep(86_400)
        refusal.left = 0
        began_s = world.clock.monotonic_s()
        assert (await world.synced()).status is JobStatus.COMPLETE
        assert world.clock.monotonic_s() - began_s < 0.1


@virtual
async def test_what_waits_for_a_source_that_does_not_answer_is_refused_with_the_reason() -> None:
    async with grounds(target(), faults=(RefuseConnections(10_000),)) as world:
        job = await world.synced()
        assert (job.status, job.result and job.result.errors) == (JobStatus.FAILED, ("connection refused",))
        assert await world.store.jobs.get(job.id) == job, "a person's job is kept, whatever comes of it"


@virtual
async def test_a_box_that_refuses_us_is_refused_and_not_unreachable() -> None:
    async with grounds(target(), faults=(RefuseConnections(10_000, AuthRefused("no such key")),)) as world:
        assert world.member().standing.state is State.REFUSED
        assert [problem.kind for problem in world.member().standing.conditions.problems] == ["auth_refused"]


@virtual
async def test_a_line_that_breaks_in_the_middle_of_a_sync_fails_it_and_is_opened_anew() -> None:
    cut = CutListing(0, times=0)
    async with grounds(target(transfer=TransferPolicy(retry_attempts=0)), faults=(cut,)) as world:
        await world.put(b"a.png", b"A")
        await world.synced()
        cut.left = 1
        assert (await world.synced()).status is JobStatus.FAILED
        await asyncio.sleep(FIRST_PAUSE_S)
        assert world.opened == ["box", "box"]
        assert world.member().standing.state is State.IDLE
        assert len(world.heard.said) == 2, "once when it broke, once when it healed"


@virtual
async def test_a_line_that_breaks_while_idle_is_news_only_if_the_next_one_cannot_be_opened() -> None:
    cut, refusal = CutWatch(0), RefuseConnections(0)
    async with grounds(target(timing=Timing(watch=True)), faults=(cut, refusal)) as world:
        await world.synced()
        cut.left = 1
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(5)
        assert (world.opened, world.heard.said) == (["box", "box"], [])
        assert world.member().standing.state is State.IDLE
        cut.left, refusal.left = 1, 10_000
        world.box().write(b"b.png", b"B")
        await asyncio.sleep(60)
        assert world.heard.said == ["connection refused"]
        assert world.member().standing.state.value == "unreachable"


@virtual
async def test_a_box_that_takes_us_in_and_drops_us_again_is_not_hammered() -> None:
    class DropsEverybody(BoxFault):
        def before_part(self, box: MemoryBox, entries_sent: int) -> None:
            raise SourceLost("dropped")

    async with grounds(target(), faults=(DropsEverybody(),)) as world:
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(86_400)
        assert len(world.opened) < 2_500


@virtual
async def test_a_running_wish_is_cancelled_and_the_next_one_has_its_turn() -> None:
    async with grounds(target()) as world:
        log: list[str] = []
        one, two = Said("one", log), Said("two", log)
        runner = world.member().runner
        runner.ask(one.wish)
        runner.ask(two.wish)
        await asyncio.sleep(0.5)
        runner.cancel(one.wish, Cancelled("not any more"))
        await asyncio.sleep(5)
        assert log == ["one begins", "one refused", "two begins", "two ends"]
        assert one.refused is not None and one.refused.message == "not any more"


@virtual
async def test_a_waiting_wish_is_cancelled_without_its_turn() -> None:
    async with grounds(target()) as world:
        log: list[str] = []
        one, two = Said("one", log), Said("two", log)
        runner = world.member().runner
        runner.ask(one.wish)
        runner.ask(two.wish)
        await asyncio.sleep(0.5)
        runner.cancel(two.wish, Cancelled())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert log == ["one begins", "two refused"]
        runner.cancel(two.wish, Cancelled())  # once more changes nothing
        await asyncio.sleep(5)
        assert log == ["one begins", "two refused", "one ends"]


@virtual
async def test_a_fault_in_a_wish_is_said_loudly_and_the_target_begins_anew() -> None:
    async with grounds(target()) as world:
        log: list[str] = []
        stumbles, waits = Said("stumbles", log, error=KeyError("a bug")), Said("waits", log)
        world.member().runner.ask(stumbles.wish)
        world.member().runner.ask(waits.wish)
        await asyncio.sleep(2)
        assert isinstance(stumbles.refused, Fault)
        ((_, event, fields),) = [line for line in world.heard.lines if line[0] == "error"]
        assert (event, fields["task"]) == ("a task ended unexpectedly; it is started again", "target box")
        assert isinstance(fields["exc_info"], KeyError)
        await asyncio.sleep(BEGIN_ANEW_S + 2)
        assert log[-2:] == ["waits begins", "waits ends"]
        assert len(world.opened) == 2


@virtual
async def test_a_fault_in_one_target_disturbs_no_other() -> None:
    async with grounds(target("one"), target("two")) as world:
        world.member("one").runner.ask(Said("stumbles", [], error=KeyError("a bug")).wish)
        log: list[str] = []
        world.member("two").runner.ask(Said("goes on", log).wish)
        await asyncio.sleep(2)
        assert log == ["goes on begins", "goes on ends"]
        assert world.opened.count("two") == 1


@virtual
async def test_trouble_at_home_ends_the_wish_and_not_the_connection() -> None:
    async with grounds(target()) as world:
        said = Said("one", [], error=DestinationMissing("/home is gone"))
        world.member().runner.ask(said.wish)
        await asyncio.sleep(2)
        assert said.refused is said.error
        assert world.opened == ["box"]
        assert world.member().standing.state is State.WAITING
        assert (await world.synced()).status is JobStatus.COMPLETE
        assert world.member().standing.state is State.IDLE
        assert world.heard.said == ["/home is gone", "well again: /home is gone"]


@virtual
async def test_when_the_target_goes_every_wish_hears_why() -> None:
    async with grounds(target()) as world:
        log: list[str] = []
        running, waiting, late = Said("running", log), Said("waiting", log), Said("late", log)
        runner = world.member().runner
        runner.ask(running.wish)
        runner.ask(waiting.wish)
        await asyncio.sleep(0.5)
        await world.apply()
        assert log == ["running begins", "running refused", "waiting refused"]
        for said in (running, waiting):
            assert isinstance(said.refused, Cancelled) and "removed" in said.refused.message
        try:
            runner.ask(late.wish)
        except Cancelled as refusal:
            assert "removed" in refusal.message
        else:
            raise AssertionError("a target that is gone took a wish")


@virtual
async def test_a_stop_in_the_middle_of_a_transfer_keeps_what_is_staged() -> None:
    world = Grounds()
    gate = Gate()
    world.home().room = gate
    await world.put(b"film.mp4", b"F" * 1_000_000)
    await world.apply(target())
    await gate.reached.wait()
    (active,) = world.jobs.active.values()
    await world.fleet.stop()
    assert active.job.status is JobStatus.CANCELLED
    assert active.job.result is not None and "forged stops" in active.job.result.errors[0]
    assert world.jobs.active == {}
