"""A real daemon, steered over its socket: jobs, flow, trust, drain, cleanup, and what it says of boxes and homes that go away."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forged.control.client import CallFailed
from forged.metrics import names
from tests.support.daemon import Daemon, daemon, until
from tests.support.site import tree
from tests.support.sshd import Sshd, sshd

CLEANED = '[target.cleanup]\nage = "1s"\nevery = "1s"\npreserve = ["*.important"]'


@pytest.fixture(scope="module")
def box() -> Iterator[Sshd]:
    """One that tests may stop and give another key."""
    with sshd() as server:
        yield server


@pytest.fixture(scope="module")
def house(box: Sshd) -> Iterator[Daemon]:
    """One daemon for all of these; each test has a target of its own."""
    targets = dict.fromkeys(("jobs", "films", "paused", "drained", "away", "homeless"), "")
    with daemon(box, **targets, cleaned=CLEANED) as made:
        yield made.start()


def write(house: Daemon, name: str, target: str, data: bytes = b"x") -> Path:
    path = house.box(target) / name
    path.write_bytes(data)
    return path


def is_home(house: Daemon, target: str) -> bool:
    return tree(house.home(target)) == tree(house.box(target))


def test_a_sync_is_waited_for_through_notifications(house: Daemon) -> None:
    house.until("idle", "jobs")
    for n in range(30):
        write(house, f"{n}.png", "jobs", os.urandom(1000))
    job = house.sync("jobs")
    assert job["status"] == "complete"
    assert is_home(house, "jobs")
    assert house.call("sync.status", job_id=job["id"])["job"] == job
    assert house.call("sync.status", job_id=job["sync_id"])["job"]["status"] in ("complete",)
    assert job in house.call("sync.list")["jobs"]
    assert house.call("sync.progress", job_id=job["id"])["progress"]["progress_percent"] == 100.0


def test_progress_comes_while_a_film_comes_and_a_cancelled_job_is_cancelled(house: Daemon) -> None:
    house.until("idle", "films")
    house.call("transfer.limit", target="films", limit="1MB/s")
    write(house, "film.mp4", "films", os.urandom(8_000_000))
    with house.client() as client:
        client.call("sync.subscribe")
        job_id = client.call("sync.start", target="films")["job_id"]
        seen = [note.params for note in client.notifications(1.5) if note.method == "sync_progress"]
        assert 1 <= len([one for one in seen if one["sync_id"].endswith(job_id[:8])]) <= 7
        assert client.call("sync.cancel", job_id=job_id)["success"] is True
        ended = next(n.params for n in client.notifications(10) if n.method == "sync_complete" and n.params["id"] == job_id)
    assert ended["status"] == "cancelled"
    house.call("transfer.limit", target="films", limit="off")
    until(lambda: is_home(house, "films"))


def test_a_paused_target_stands_still_until_it_is_resumed(house: Daemon) -> None:
    house.until("idle", "paused")
    house.call("target.pause", target="paused")
    write(house, "a.png", "paused")
    with pytest.raises(CallFailed, match="is paused"):
        house.call("sync.start", target="paused")
    assert house.metric("forged_target_paused", target="paused") == 1
    assert not is_home(house, "paused")
    house.call("target.resume", target="paused")
    until(lambda: is_home(house, "paused"))


def test_a_drained_box_is_safe_to_destroy_and_one_with_a_gap_at_home_is_not(house: Daemon) -> None:
    for n in range(20):
        write(house, f"{n}.png", "drained", os.urandom(100))
    answer = house.call("target.drain", target="drained", timeout="20s")
    assert (answer["safe_to_destroy"], answer["files_at_source"], answer["missing"]) == (True, 20, [])
    (house.home("drained") / "7.png").unlink()
    compared = house.call("target.verify", target="drained")
    assert [(row["symbol"], row["path"]) for row in compared["rows"]] == [("-", "7.png")]
    assert compared["counts"]["="] == 19
    changed = house.home("drained") / "8.png"
    changed.write_bytes(changed.read_bytes()[::-1])
    assert house.call("target.verify", target="drained", rehash=True)["counts"]["*"] == 1


def test_cleanup_comes_by_itself_and_says_why_it_keeps_what_it_keeps(house: Daemon) -> None:
    for n in range(5):
        write(house, f"{n}.png", "cleaned", os.urandom(100))
    kept = write(house, "sketch.important", "cleaned")
    sent = tree(house.box("cleaned"))
    until(lambda: [path.name for path in house.box("cleaned").iterdir()] == [kept.name], house.log)
    assert tree(house.home("cleaned")) == sent
    until(lambda: house.metric("forged_cleanup_files_total", target="cleaned") == 5)
    answer = house.call("cleanup.run", target="cleaned", dry_run=True)
    assert [(row["path"], row["why"]) for row in answer["kept"]] == [("sketch.important", "preserved")]


def test_the_page_has_the_series_that_there_are_by_now(house: Daemon) -> None:
    write(house, "seen.png", "jobs")
    until(lambda: house.metric("forged_files_transferred_total", target="jobs") > 0)
    page = house.page()
    shown = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    told = {
        names.TARGET_UP,
        names.TARGET_PAUSED,
        names.TARGET_HELD,
        names.WATCH_ACTIVE,
        names.LAST_SUCCESS,
        names.BACKLOG_FILES,
        names.BACKLOG_BYTES,
        names.LAG,
        names.SCAN_DURATION,
        names.SCAN_FILES,
        names.FILES_TRANSFERRED,
        names.BYTES_TRANSFERRED,
        names.ARRIVAL_LATENCY,
        names.TRANSFER_DURATION,
        names.CLEANUP_FILES,
        names.CLEANUP_BYTES,
        names.CLEANUP_KEPT,
        names.FREE_BYTES,
        names.POLLS_SKIPPED,
        names.RELOADS,
        names.CONNECTIONS,
        names.TRANSFERS_IN_FLIGHT,
        names.BYTES_IN_FLIGHT,
        names.RETRIES,
        names.ERRORS,
    }
    missing = {family.name for family in told if family.name not in shown and family.name + "_total" not in shown}
    assert missing - {"forged_errors_total", "forged_errors"} == set()
    assert house.metric("forged_watch_active", target="jobs") == 1
    assert house.metric("forged_connections", target="jobs") >= 1
    house.call("transfer.limit", target="jobs", limit="5GB/s")
    assert house.metric("forged_bandwidth_limit_bytes_per_second", target="jobs") == 5e9
    house.call("transfer.limit", target="jobs", limit="config")


def conditions(house: Daemon, name: str) -> list[dict[str, Any]]:
    """The lines about what breaks and heals."""
    return [line for line in house.lines(target=name) if "kind" in line]


def test_a_home_that_is_taken_away_is_waited_for_and_not_filled(house: Daemon) -> None:
    house.until("idle", "homeless")
    write(house, "before.png", "homeless")
    until(lambda: is_home(house, "homeless"))
    away = house.root / "elsewhere"
    house.home("homeless").rename(away)
    house.home("homeless").mkdir()  # an unmounted disk leaves an empty folder behind
    for n in range(3):
        write(house, f"{n}.png", "homeless", os.urandom(10))
        until(lambda: house.standing("homeless")["state"] == "waiting", house.log)
    (problem,) = house.standing("homeless")["problems"]
    assert problem["kind"] in ("marker_missing", "destination_missing")
    assert problem["hint"]
    assert list(house.home("homeless").iterdir()) == []
    house.home("homeless").rmdir()
    away.rename(house.home("homeless"))
    house.until("idle", "homeless")
    until(lambda: is_home(house, "homeless"))
    broke, *_, healed = conditions(house, "homeless")
    assert (broke["level"], healed["level"]) == ("warning", "info")
    assert healed["event"].startswith("well again")


def test_a_box_that_goes_away_is_one_line_and_one_when_it_comes_back(house: Daemon, box: Sshd) -> None:
    house.until("idle", "away")
    before = len(conditions(house, "away"))
    box.stop()
    house.until("unreachable", "away")
    assert house.metric("forged_target_up", target="away") == 0
    with pytest.raises(CallFailed):
        house.call("target.verify", target="away")
    box.start()
    write(house, "meanwhile.png", "away")
    assert house.sync("away")["status"] in ("complete", "failed")  # a person's sync ends the pause
    house.until("idle", "away")
    until(lambda: is_home(house, "away"))
    until(lambda: len(conditions(house, "away")) >= before + 2)
    lines = conditions(house, "away")[before:]
    assert [line["level"] for line in lines] == ["warning", "info"], lines
    assert lines[1]["event"] == f"well again: {lines[0]['event']}" or lines[1]["event"].startswith("well again")


def test_another_host_key_is_refused_until_a_person_trusts_it(house: Daemon, box: Sshd) -> None:
    house.sync("away")
    old = box.fingerprint
    box.stop()
    box.new_host_key()
    box.start()
    house.until("refused", "away")
    (problem,) = house.standing("away")["problems"]
    assert problem["kind"] == "host_key_changed"
    assert "forgectl trust" in problem["hint"]
    with pytest.raises(CallFailed):
        house.call("target.trust", target="away", fingerprint=old)
    house.call("target.trust", target="away", fingerprint=box.fingerprint)
    house.until("idle", "away")


def test_it_answers_while_a_crowd_asks(house: Daemon) -> None:
    def ask() -> None:
        with house.client() as client:
            for _ in range(20):
                answers.put(len(client.call("target.list")["targets"]))

    answers: queue.Queue[int] = queue.Queue()
    crowd = [threading.Thread(target=ask) for _ in range(10)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(30)
    assert [answers.get() for _ in range(answers.qsize())] == [7] * 200
