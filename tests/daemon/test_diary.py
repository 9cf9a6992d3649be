"""What the log says of the work itself: a line for a sync, for a cleanup, for what people do; at debug one for each file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from forged.control.peers import Level, Peer
from forged.daemon.diary import Diary
from forged.kit.logs import is_heard
from forged.model.errors import SourceLost
from forged.model.observer import HostKeyPinned, Retried
from forged.model.paths import source_path
from forged.model.target import CleanupPolicy
from tests.daemon.grounds import Grounds, Heard, grounds, target
from tests.support.virtual import virtual

Line = tuple[str, str, dict[str, object]]


@pytest.fixture
def heard() -> Heard:
    return Heard()


def diary_of(world: Grounds, *, curious: bool = False) -> Heard:
    """Its lines, written beside what the grounds hear anyway."""
    heard = Heard()
    diary = Diary(heard, lambda: curious)
    world.facts.notice = diary.notice  # type: ignore[method-assign]
    before = world.jobs._on_end
    world.jobs._on_end = lambda job, kept: (diary.job_ended(job), before(job, kept))[1]
    return heard


def of(heard: Heard, level: str) -> list[tuple[str, dict[str, object]]]:
    return [(event, fields) for how, event, fields in heard.lines if how == level]


@virtual
async def test_a_sync_that_brings_something_is_one_line_and_one_that_does_not_is_none() -> None:
    async with grounds(target()) as world:
        heard = diary_of(world)
        await world.put(b"a.png", b"A" * 1000)
        await world.put(b"sub/b.png", b"B" * 2000)
        await world.synced()
        await world.synced()
        ((event, fields),) = of(heard, "info")
        assert event == "sync complete: 2 files came home, 3.0 kB"
        assert fields["target"] == "box" and str(fields["job"]).startswith("sync_") and "took" in fields
        assert all(event.startswith("sync ") for event, _ in of(heard, "debug")), "nothing of single files"


@virtual
async def test_at_debug_each_file_says_whence_and_whereto() -> None:
    async with grounds(target()) as world:
        heard = diary_of(world, curious=True)
        await world.put(b"a.png", b"A" * 1000)
        await world.synced()
        (fields,) = [fields for event, fields in of(heard, "debug") if event == "a file is home"]
        told = {name: fields[name] for name in ("target", "path", "home", "how", "size_bytes")}
        assert told == {"target": "box", "path": "a.png", "home": "a.png", "how": "new", "size_bytes": 1000}


@virtual
async def test_a_file_that_does_not_come_is_one_condition_with_its_reason_until_it_comes() -> None:
    async with grounds(target()) as world:
        heard = diary_of(world)
        for name in (b"a.png", b"b.png"):
            world.box().unreadable.add(source_path(name))
            await world.put(name, b"A")
        for _ in range(3):
            await world.synced()
        ((message, fields),) = of(world.heard, "warning")
        assert message.startswith("2 files do not come home; the first: a.png: ") and fields["kind"] == "files"
        assert "chmod" in str(fields["hint"]) and "forgectl job ID" in str(fields["hint"])
        assert [one.kind for one in world.member().standing.conditions.problems] == ["files"]
        assert {fields["why"] for event, fields in of(heard, "debug") if event == "a file did not come home"} == {"unreadable"}
        world.box().unreadable.clear()
        await world.synced()
        assert world.member().standing.conditions.problems == ()
        assert of(world.heard, "info")[-1][0].startswith("well again: ")


@virtual
async def test_what_cleanup_removes_is_said_with_how_much_and_what_stays() -> None:
    async with grounds(target(cleanup=CleanupPolicy(age_s=60.0))) as world:
        heard = diary_of(world, curious=True)
        await world.put(b"a.png", b"A" * 1000)
        await world.put(b"b.important", b"B" * 1000)
        await world.synced()
        await asyncio.sleep(120)
        await world.member().work.clean_up(dry_run=True, urgent=True)
        await world.member().work.clean_up(dry_run=False, urgent=True)
        would, did = [(event, fields) for event, fields in of(heard, "info") if event.startswith("cleanup")]
        assert would[0] == "cleanup: 1 file would be removed at the source, being safe at home"
        assert did[0] == "cleanup: 1 file removed at the source, being safe at home"
        assert did[1]["freed"] == "1.0 kB" and did[1]["kept"] == {"preserved": 1}
        assert ("a file removed at the source", {"target": "box", "path": "a.png", "home": "a.png"}) in of(heard, "debug")


def test_an_accepted_host_key_is_said_and_a_new_attempt_only_to_the_curious(heard: Heard) -> None:
    diary = Diary(heard, lambda: False)
    diary.notice(HostKeyPinned("box", "SHA256:abc"))
    diary.notice(Retried("box", SourceLost(), 1, 5.0))
    (_, pinned, fields), (level, _, again) = heard.lines
    assert "pinned" in pinned and fields["fingerprint"] == "SHA256:abc" and "ssh-keygen" in str(fields["hint"])
    assert (level, again["hint"]) == ("debug", "attempt 2 follows in 5.0 s")


def test_who_had_what_done_is_said_without_what_may_hold_secrets(heard: Heard) -> None:
    diary = Diary(heard, lambda: False)
    peer = Peer(1000, 1000, 42, frozenset(), Level.STEER)
    diary.asked("sync.start", {"target": "box", "config": {"a": "geheim"}, "folders": ["x"], "peer": peer, "uid": "other"}, peer)
    assert heard.lines == [("info", "somebody asks for sync.start", {"target": "box", "uid": 1000})]


@pytest.fixture
def level() -> Iterator[logging.Logger]:
    logger = logging.getLogger("forged.test_diary")
    yield logger
    logger.setLevel(logging.NOTSET)


def test_whether_somebody_hears_follows_the_level(level: logging.Logger) -> None:
    level.setLevel(logging.INFO)
    assert (is_heard("forged.test_diary", "debug"), is_heard("forged.test_diary", "info")) == (False, True)
    level.setLevel(logging.DEBUG)
    assert is_heard("forged.test_diary", "debug")
