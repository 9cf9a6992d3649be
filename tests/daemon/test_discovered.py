"""Boxes that come and go: what becomes of their targets, and what is said of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from forged.daemon.fleet import UnknownTarget
from forged.daemon.methods_target import TargetMethods
from forged.daemon.standing import State
from forged.discovery.memory import Fail, Hang, Throttle
from forged.model.alarms import AlarmKind
from forged.model.boxes import Box, BoxId, BoxState
from forged.model.errors import DiscoveryRefused, HostKeyChanged, StoreError
from forged.model.events import EventKind
from forged.model.manifest import Hold, ManifestName, Pause
from forged.model.target import TransferPolicy
from forged.rules.alarms import FAILING_S
from forged.rules.boxes import newcomers
from tests.daemon.grounds import Gate, Grounds, LivingBox, address, discovery, grounds, target
from tests.support.virtual import virtual

A, B, PROXY = address("a:1"), address("b:2"), address("proxy:3")


def box(id: str = "1", *addresses: object, **changes: object) -> Box:
    made = Box(BoxId(id), BoxState.RUNNING if addresses else BoxState.STOPPED, tuple(addresses))  # type: ignore[arg-type]
    return replace(made, **changes)  # type: ignore[arg-type]


async def begun(world: Grounds, **changes: object) -> LivingBox:
    """One box at A that is home already."""
    made = LivingBox()
    world.network.up(A, made, "key 1")
    world.provider().put(box("1", A))
    await world.apply(discoveries=(discovery(**changes),))
    await asyncio.sleep(1)
    return made


def written(world: Grounds, name: str = "cloud") -> list[bytes]:
    return sorted(world.at_home(name))


async def looked(world: Grounds, seconds: float, step: float = 5.0) -> None:
    """Time in which the watchman goes his rounds."""
    for _ in range(round(seconds / step)):
        await asyncio.sleep(step)
        await world.watchman.look()


def rung(world: Grounds) -> list[EventKind]:
    return [event.kind for event in world.rung]


@virtual
async def test_a_box_becomes_a_target_and_its_files_come_home() -> None:
    async with grounds(target("static")) as world:
        made = LivingBox()
        world.network.up(A, made, "key")
        world.provider().put(box("1", A, label="my box"))
        await world.apply(target("static"), discoveries=(discovery(),))
        await asyncio.sleep(1)
        made.write(b"a.png", b"A")
        await asyncio.sleep(10)
        assert written(world) == [b"a.png"]
        standing = world.member("cloud-1").standing
        assert standing.target.manifest == "cloud@1"
        assert str(standing.source) == "ssh://root@a:1/out"
        assert [member.name for member in world.fleet.members] == ["static", "cloud-1"]


@virtual
async def test_a_box_that_moves_is_followed_at_once_and_keeps_its_memory_and_its_key() -> None:
    async with grounds() as world:
        made = await begun(world)
        made.write(b"a.png", b"A")
        await asyncio.sleep(10)
        member = world.member("cloud-1")
        world.network.down(A)
        world.network.up(B, made, "key 1")
        world.provider().put(box("1", B))
        await asyncio.sleep(25)
        assert world.member("cloud-1") is member
        assert str(member.standing.source) == "ssh://root@b:2/out"
        made.write(b"b.png", b"B")
        await asyncio.sleep(10)
        assert written(world) == [b"a.png", b"b.png"]
        assert world.network.pins == {"cloud@1": "key 1"}


@virtual
async def test_another_box_behind_a_recycled_address_is_refused_and_the_next_address_tried() -> None:
    async with grounds() as world:
        made = await begun(world)
        world.network.down(A)
        world.network.up(A, LivingBox(), "key of a stranger")
        await looked(world, 10)
        member = world.member("cloud-1")
        assert member.standing.state is State.REFUSED
        assert [one.kind for one in member.standing.conditions.problems] == ["host_key_changed"]
        assert rung(world) == [EventKind.TARGET_REFUSED]
        world.network.up(PROXY, made, "key 1")
        world.provider().put(box("1", A, PROXY))
        await looked(world, 30)
        assert str(member.standing.source) == "ssh://root@proxy:3/out"
        assert member.standing.conditions.problems == ()
        assert rung(world) == [EventKind.TARGET_REFUSED, EventKind.TARGET_BACK]


@virtual
async def test_a_new_instance_at_a_recycled_address_has_a_pin_of_its_own() -> None:
    async with grounds() as world:
        await begun(world)
        world.network.down(A)
        world.provider().take(BoxId("1"))
        other = LivingBox()
        other.write(b"a.png", b"other")
        world.network.up(A, other, "key 2")
        world.provider().put(box("2", A))
        await asyncio.sleep(30)
        assert world.network.pins == {"cloud@1": "key 1", "cloud@2": "key 2"}
        assert world.at_home("cloud") == {b"a.png": b"other"}


@virtual
async def test_the_address_that_worked_is_preferred() -> None:
    async with grounds() as world:
        made = LivingBox()
        world.network.up(PROXY, made, "key")
        world.provider().put(box("1", A, PROXY))
        await world.apply(discoveries=(discovery(),))
        await asyncio.sleep(1)
        assert world.network.knocks == [A, PROXY]
        world.network.down(PROXY)
        world.network.up(PROXY, made, "key")
        await asyncio.sleep(10)
        assert world.network.knocks[2:] == [PROXY]


@virtual
async def test_an_error_takes_no_box_away_however_long_it_lasts() -> None:
    async with grounds() as world:
        made = await begun(world)
        world.provider().faults = [Fail()]
        await asyncio.sleep(3 * 3600)
        made.write(b"a.png", b"A")
        await asyncio.sleep(10)
        assert written(world) == [b"a.png"]
        (one,) = world.discoveries.all
        assert [problem.kind for problem in one.conditions.problems] == ["discovery_error"]
        assert world.provider().asked < 25, "it is asked less and less often"
        assert rung(world) == [EventKind.DISCOVERY_FAILED]
        assert world.rung[0].at_ns / 1e9 - world.clock.now_ns() / 1e9 < -3 * 3600 + 3 * FAILING_S
        world.provider().faults = []
        await asyncio.sleep(1000)
        assert rung(world) == [EventKind.DISCOVERY_FAILED, EventKind.DISCOVERY_BACK]
        assert one.conditions.problems == ()


@virtual
async def test_a_box_that_stops_answering_is_asked_for_soon_whatever_the_rhythm_and_however_long_the_provider_was_down() -> None:
    async with grounds() as world:
        made = LivingBox()
        world.network.up(A, made, "key 1")
        world.provider().put(box("1", A))
        await world.apply(discoveries=(replace(discovery(), every_s=3600.0),))
        await asyncio.sleep(1200)
        assert world.provider().asked == 1
        world.provider().faults = [Fail()]
        world.network.down(A)
        await asyncio.sleep(3 * 3600)
        assert 100 < world.provider().asked < 200, "once a minute, more or less"
        world.network.up(B, made, "key 1")
        world.provider().put(box("1", B))
        world.provider().faults = []
        await asyncio.sleep(75)
        assert str(world.member("cloud-1").standing.source) == "ssh://root@b:2/out"
        asked = world.provider().asked
        await asyncio.sleep(3000)
        assert world.provider().asked == asked, "all is well again"


@virtual
async def test_a_refused_key_rings_at_once_and_a_throttled_question_waits_as_long_as_it_is_told() -> None:
    async with grounds() as world:
        await begun(world)
        world.provider().faults = [Throttle(retry_after_s=500.0, times=1)]
        await asyncio.sleep(30)
        asked = world.provider().asked
        await asyncio.sleep(460)
        assert world.provider().asked == asked
        await asyncio.sleep(30)
        assert world.provider().asked > asked
        assert rung(world) == []
        world.provider().faults = [Fail(DiscoveryRefused("no"))]
        await asyncio.sleep(30)
        assert rung(world) == [EventKind.DISCOVERY_FAILED]


@virtual
async def test_a_slow_provider_stops_no_other() -> None:
    async with grounds() as world:
        world.provider("slow").faults = [Hang(200.0)]
        await begun(world)
        await world.apply(discoveries=(discovery("slow"), discovery()))
        await asyncio.sleep(100)
        assert world.provider("slow").asked == 1
        assert world.provider().asked > 4
        assert world.member("cloud-1").standing.state is State.IDLE


@virtual
async def test_a_stopped_box_waits_without_a_word_and_goes_on_where_it_was() -> None:
    async with grounds() as world:
        made = await begun(world)
        made.write(b"a.png", b"A")
        await asyncio.sleep(10)
        world.provider().put(box("1", why="it is stopped"))
        await asyncio.sleep(25)
        world.network.down(A)
        await asyncio.sleep(1)
        said, knocked = len(world.heard.lines), len(world.network.knocks)
        await looked(world, 8 * 3600, 60)
        assert len(world.heard.lines) == said
        assert len(world.network.knocks) == knocked
        member = world.member("cloud-1")
        assert (member.standing.state, member.standing.conditions.problems) == (State.WAITING, ())
        sync = member.work.start_sync()
        await sync.ended.wait()
        assert sync.job.result is not None
        assert sync.job.result.errors == ("cloud-1: it is stopped",)
        made.write(b"b.png", b"B")
        world.network.up(B, made, "key 1")
        world.provider().put(box("1", B))
        await looked(world, 40)
        assert written(world) == [b"a.png", b"b.png"]
        assert rung(world) == []


@virtual
async def test_a_box_that_is_gone_with_all_of_it_home_goes_quietly() -> None:
    async with grounds() as world:
        made = await begun(world)
        made.write(b"a.png", b"A")
        await asyncio.sleep(10)
        world.provider().take(BoxId("1"))
        world.network.down(A)
        await looked(world, 45)
        assert [member.name for member in world.fleet.members] == ["cloud-1"], "missing is not gone"
        await looked(world, 60)
        assert world.fleet.members == []
        assert await world.store.boxes.known("cloud") == []
        assert rung(world) == []
        assert b"cloud-1" not in page(world)
        world.network.up(A, made, "key 1")
        world.provider().put(box("1", A))
        made.write(b"b.png", b"B")
        await asyncio.sleep(30)
        assert written(world) == [b"a.png", b"b.png"]
        assert world.facts.landed() == [b"a.png", b"b.png"], "it went on where it was"


def page(world: Grounds) -> bytes:
    names = [sample.labels for metric in world.metrics.registry.collect() for sample in metric.samples]
    return repr(names).encode()


async def lost_with_a_backlog(world: Grounds) -> LivingBox:
    made = await begun(world)
    world.home("cloud").room = gate = Gate()
    made.write(b"a.png", b"A" * 1000)
    await gate.reached.wait()
    world.network.down(A)
    world.home("cloud").room = Gate()
    world.home("cloud").room.open.set()  # type: ignore[attr-defined]
    return made


@virtual
async def test_a_box_that_stops_answering_with_a_backlog_rings_once_and_is_lost_when_it_is_gone() -> None:
    async with grounds() as world:
        made = await lost_with_a_backlog(world)
        await looked(world, 50)
        assert rung(world) == []
        await looked(world, 20)
        assert rung(world) == [EventKind.TARGET_LOST]
        member = world.member("cloud-1")
        assert "1 file (1.0 kB) not home" in member.standing.conditions.problems[-1].message
        world.provider().take(BoxId("1"))
        await looked(world, 600)
        assert member.standing.state is State.LOST
        assert [one.kind for one in member.standing.conditions.problems] == ["lost"]
        assert rung(world) == [EventKind.TARGET_LOST]
        world.network.up(B, made, "key 1")
        world.provider().put(box("1", B))
        await looked(world, 40)
        assert written(world) == [b"a.png"]
        assert rung(world) == [EventKind.TARGET_LOST, EventKind.TARGET_BACK]
        world.provider().take(BoxId("1"))
        world.network.down(B)
        await looked(world, 200)
        assert world.fleet.members == []


@virtual
async def test_a_lost_box_is_given_up_by_a_person_or_after_a_week() -> None:
    async with grounds() as world:
        await lost_with_a_backlog(world)
        world.provider().take(BoxId("1"))
        await looked(world, 200)
        methods = TargetMethods(world.fleet, world.discoveries, world)  # type: ignore[arg-type]
        answer = await methods.release("cloud-1")
        assert "1 files of it never came home" in answer["message"]
        with pytest.raises(UnknownTarget):
            world.fleet.find("cloud-1")
        await looked(world, 10)
        assert not world.bell.is_raised(AlarmKind.LOST, "cloud@1")
        assert rung(world) == [EventKind.TARGET_LOST]
    async with grounds() as world:
        await lost_with_a_backlog(world)
        world.provider().take(BoxId("1"))
        await looked(world, 6 * 86_400, 600)
        assert [member.name for member in world.fleet.members] == ["cloud-1"]
        await looked(world, 2 * 86_400, 600)
        assert world.fleet.members == []


@virtual
async def test_known_boxes_and_raised_alarms_outlive_a_restart_with_the_provider_down() -> None:
    async with grounds() as world:
        made = await lost_with_a_backlog(world)
        await looked(world, 90)
        await world.discoveries.stop()
        await world.fleet.stop()
        again = Grounds(store=world.store)
        again.network, again.providers, again.homes = world.network, world.providers, world.homes
        await again.bell.restore()
        again.provider().faults = [Fail()]
        await again.apply(discoveries=(discovery(),))
        await looked(again, 120)
        standing = again.member("cloud-1").standing
        assert (standing.state, standing.left_files) == (State.UNREACHABLE, 1)
        assert rung(again) == [], "it has rung before"
        again.network.up(A, made, "key 1")
        await looked(again, 320)
        assert written(again) == [b"a.png"]
        assert rung(again) == [EventKind.TARGET_BACK]
        await again.discoveries.stop()
        await again.fleet.stop()


@virtual
async def test_an_end_that_comes_near_rings_and_an_extension_heals_it() -> None:
    async with grounds() as world:
        await begun(world)
        end_ns = world.clock.now_ns() + 2 * 3600 * 10**9
        world.provider().put(box("1", A, end_ns=end_ns))
        await looked(world, 3500, 60)
        assert rung(world) == []
        await looked(world, 200, 20)
        assert rung(world) == [EventKind.INSTANCE_ENDING]
        standing = world.member("cloud-1").standing
        assert [one.kind for one in standing.conditions.problems] == ["ending"]
        standing.refresh_metrics()
        assert world.metrics.registry.get_sample_value(
            "forged_instance_end_timestamp_seconds", {"target": "cloud-1"}
        ) == pytest.approx(end_ns / 1e9)
        world.provider().put(box("1", A, end_ns=end_ns + 86_400 * 10**9))
        await looked(world, 60)
        assert rung(world) == [EventKind.INSTANCE_ENDING, EventKind.INSTANCE_EXTENDED]
        assert standing.conditions.problems == ()


@virtual
async def test_a_template_that_changes_renews_its_boxes_and_nobody_else() -> None:
    async with grounds(target("static")) as world:
        await begun(world)
        world.network.up(B, LivingBox(), "key 2")
        world.provider("other").put(box("2", B))
        both = (discovery(), discovery("other"))
        await world.apply(target("static"), discoveries=both)
        await asyncio.sleep(1)
        before = {member.name: member for member in world.fleet.members}
        asked = world.provider().asked
        changed = (discovery(transfer=TransferPolicy(parallel_transfers=1)), discovery("other"))
        await world.apply(target("static"), discoveries=changed)
        after = {member.name: member for member in world.fleet.members}
        assert {name for name in after if after[name] is not before[name]} == {"cloud-1"}
        assert after["cloud-1"].standing.target.transfer.parallel_transfers == 1
        await asyncio.sleep(0.1)
        assert world.provider().asked == asked + 1, "a reload asks at once"
        await world.apply(target("static"), discoveries=changed[1:])
        assert [member.name for member in world.fleet.members] == ["static", "other-2"]
        assert await world.store.boxes.known("cloud") == []


@virtual
async def test_pauses_and_holds_belong_to_the_instance() -> None:
    async with grounds() as world:
        await begun(world)
        await world.store.flags.set_hold(world.member("cloud-1").standing.target.manifest, Hold("many_gone", "why", 1))
        await world.store.flags.set_pause(world.member("cloud-1").standing.target.manifest, Pause(5))
        await world.apply()
        await world.apply(discoveries=(discovery(),))
        await asyncio.sleep(1)
        standing = world.member("cloud-1").standing
        assert (standing.pause, standing.hold) == (Pause(5), Hold("many_gone", "why", 1))


HOLD = Hold("state_rebuilt", "the memory was lost", 1)


@virtual
async def test_after_a_lost_memory_boxes_are_held_when_they_show_and_later_ones_are_not() -> None:
    async with grounds() as world:
        await world.store.flags.set_hold(newcomers("cloud"), HOLD)
        world.provider().faults = [Fail()]
        await world.apply(discoveries=(discovery(),))
        await asyncio.sleep(60)
        await world.discoveries.stop()  # a restart while the provider is down
        await world.fleet.stop()
        again = Grounds(store=world.store)
        for number in (1, 2):
            again.network.up(address(f"h:{number}"), LivingBox(), f"key {number}")
        again.provider().put(box("1", address("h:1")))
        await again.apply(discoveries=(discovery(),))
        await asyncio.sleep(1)
        assert again.member("cloud-1").standing.hold == HOLD
        again.provider().put(box("2", address("h:2")))  # one answer may be half of the truth
        await asyncio.sleep(30)
        assert again.member("cloud-2").standing.hold == HOLD
        await TargetMethods(again.fleet, again.discoveries, again).release("cloud-1")  # type: ignore[arg-type]
        await asyncio.sleep(60)
        again.provider().put(box("3", address("h:2")))
        await asyncio.sleep(30)
        assert again.member("cloud-3").standing.hold is None
        assert again.member("cloud-1").standing.hold is None, "a person has looked"
        assert await again.store.flags.hold(newcomers("cloud")) is None
        await again.discoveries.stop()
        await again.fleet.stop()


@virtual
async def test_a_box_that_cannot_be_held_after_a_lost_memory_does_not_come_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    async with grounds() as world:
        await world.store.flags.set_hold(newcomers("cloud"), HOLD)

        async def full(*_: object) -> None:
            raise StoreError("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(world.store.flags, "set_hold", full)
            await begun(world)
            assert world.fleet.members == []
            assert [one.kind for one in world.discoveries.all[0].conditions.problems] == ["store_error"]
        await asyncio.sleep(30)
        assert world.member("cloud-1").standing.hold == HOLD
        assert world.discoveries.all[0].conditions.problems == ()


@virtual
async def test_a_state_database_in_trouble_keeps_one_box_and_no_other_and_ends_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    async with grounds() as world:
        whole = world.store.flags.pause

        async def sometimes(name: ManifestName) -> Pause | None:
            if name == "cloud@1":
                raise StoreError("the disk is full")
            return await whole(name)

        with monkeypatch.context() as patched:
            patched.setattr(world.store.flags, "pause", sometimes)
            world.provider().put(box("2", B))
            await begun(world)
            assert [member.name for member in world.fleet.members] == ["cloud-2"]
        await asyncio.sleep(30)
        assert [member.name for member in world.fleet.members] == ["cloud-1", "cloud-2"]
        assert "error" not in world.heard.levels, "no task has ended"


@virtual
async def test_a_configured_target_takes_its_name_from_a_box() -> None:
    async with grounds() as world:
        made = await begun(world)
        await world.apply(target("Cloud-1"), discoveries=(discovery(),))
        static, found = (member.name for member in world.fleet.members)
        assert static == "Cloud-1"
        assert found.startswith("cloud-1-")
        made.write(b"a.png", b"A")
        await asyncio.sleep(10)
        assert written(world) == [b"a.png"]


def test_the_error_of_a_changed_key_names_the_command_that_mends_it() -> None:
    assert "forgectl trust" in HostKeyChanged().hint
