"""forgectl asks the right thing, tells the answer to people and programs, and ends with the right status."""

from __future__ import annotations

import base64
import json
import os
import pwd
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from forged.cli.ctl.verify import KNOWINGLY
from forged.cli.forgectl import COMMANDS, cli
from forged.daemon.methods_sync import UnknownJob
from forged.model import rpc
from forged.sync.verify import ASIDE
from tests.cli.canned import (
    AT,
    DAEMON,
    EVENT,
    EVIL,
    FORBIDDEN,
    PROGRESS,
    SYNC_ID,
    UNREACHABLE,
    Canned,
    daemon,
    forgectl,
    job,
    problem,
    target,
)


class Ctl:
    """forgectl against a daemon with canned answers."""

    def __init__(self, socket: Path, canned: Canned) -> None:
        self.socket, self.canned = socket, canned

    def run(self, *arguments: str, **given: Any) -> Result:
        result = CliRunner().invoke(cli, ["--socket", str(self.socket), *arguments], env={"TZ": "UTC"}, **given)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        for text in (*result.stdout.splitlines(), *result.stderr.splitlines()):
            assert text.isprintable(), text
        return result

    def json(self, *arguments: str, status: int = 0) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    def text(self, *arguments: str, status: int = 0) -> str:
        result = self.run(*arguments)
        assert result.exit_code == status, result.output
        return result.stdout


@pytest.fixture
def ctl(tmp_path: Path) -> Iterator[Ctl]:
    canned = Canned()
    with daemon(tmp_path / "s", canned):
        yield Ctl(tmp_path / "s", canned)


# --- status ---------------------------------------------------------------------------------------------------------------


def test_status_says_how_a_source_is_reached_that_cannot_do_everything(ctl: Ctl) -> None:
    plain = target("plain", transport=f"sftp {EVIL}", missing=["hashing", "watching"])
    ctl.canned.answers["target.list"] = {"success": True, "targets": [target(), plain], "next_cursor": None}
    told = [line for line in ctl.text("status").splitlines() if "is reached by" in line]
    assert len(told) == 1
    assert told[0].startswith("plain is reached by sftp evil")
    assert told[0].endswith("no hashing and no watching")


def test_status_is_an_aligned_table_with_the_problems_below(ctl: Ctl) -> None:
    unknown = {"backlog_files": None, "backlog_bytes": None, "lag_seconds": None, "free_bytes": None, "last_sync": None}
    night = target(
        "night-shift", state="unreachable", watch=False, held=True, problems=[problem(message=f"no answer\n{EVIL}")], **unknown
    )
    busy = target(state="transferring", backlog_files=1_200, backlog_bytes=3_400_000_000, lag_seconds=125.0)
    ctl.canned.answers["target.list"] = {"success": True, "targets": [busy, night], "next_cursor": None}
    ctl.canned.answers["sync.active"] = {"success": True, "jobs": [job("transferring")], "next_cursor": None}
    head, *rows = ctl.text("status").splitlines()
    assert head.split() == ["TARGET", "STATE", "LAST", "SYNC", "BACKLOG", "LAG", "RATE", "FREE"]
    assert re.fullmatch(r"forge        transferring       .+\S +1,200, 3\.4 GB  2 min  12\.5 MB/s  1\.2 TB", rows[0])
    assert re.fullmatch(r"night-shift  unreachable, held  never +\? +\?          -       \?", rows[1])
    assert rows[3].startswith("forged 9.9.9, up ")
    assert re.fullmatch(r"✘ night-shift: no answer \(for .+\)", rows[5])
    assert rows[6:] == [r"  evil\x1b]0;owned\x07[red]", "  .png", "  → check that the box runs"]


def test_status_says_when_forged_tries_again_by_itself(ctl: Ctl) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=37.4)).isoformat()
    for next_try, words in ((soon, r"next try in 3\d s"), (AT, "trying now")):
        away = target(state="unreachable", problems=[{**problem(), "next_try": next_try}])
        ctl.canned.answers["target.list"] = {"success": True, "targets": [away], "next_cursor": None}
        assert re.search(rf"^✘ forge: The source does not answer\. \(for .+, {words}\)$", ctl.text("status"), re.MULTILINE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1 target, nothing to do"),
        ({"state": "unreachable"}, "1 target (1 cannot be looked at), no job at work"),
        ({"state": "refused"}, "1 target (1 cannot be looked at), no job at work"),
        ({"state": "waiting"}, "1 target (1 cannot be looked at), no job at work"),
        ({"state": "waiting", "asleep": "stopped"}, "1 target, no job at work"),
        ({"paused": True}, "1 target, no job at work"),
        ({"backlog_files": 3}, "1 target, no job at work"),
    ],
)
def test_that_there_is_nothing_to_do_is_said_only_where_somebody_could_look(ctl: Ctl, changes: Any, words: str) -> None:
    ctl.canned.answers["target.list"] = {"success": True, "targets": [target(**changes)], "next_cursor": None}
    assert f", {words}\n" in ctl.text("status")


@pytest.mark.parametrize(
    ("kind", "of_daemon", "status"), [(None, False, 0), ("held", False, 1), ("limited", False, 0), ("task_stands_still", True, 1)]
)
def test_a_check_ends_with_1_when_anything_is_wrong(ctl: Ctl, kind: str | None, of_daemon: bool, status: int) -> None:
    found = [problem(kind)] if kind else []
    row, own = ([], found) if of_daemon else (found, [])
    ctl.canned.answers["target.list"] = {"success": True, "targets": [target(problems=row)], "next_cursor": None}
    ctl.canned.answers["daemon.status"] = {**DAEMON, "problems": own}
    assert (ctl.run("status").exit_code, ctl.run("status", "--check").exit_code) == (0, status)
    assert ctl.run("status", "--check").stdout == ctl.run("status").stdout


def test_a_status_without_anything_special_fits_into_80_columns(ctl: Ctl) -> None:
    busy = target("comfy-studio", state="transferring", backlog_files=1_200, backlog_bytes=3_400_000_000, lag_seconds=125.0)
    ctl.canned.answers["target.list"] = {"success": True, "targets": [busy, target("b", paused=True)], "next_cursor": None}
    rows = ctl.text("status").splitlines()
    assert max(map(len, rows)) <= 80
    assert rows[2].startswith("b             paused ")


def test_status_in_json_is_that_of_the_methods(ctl: Ctl) -> None:
    ctl.canned.answers["sync.active"] = {"success": True, "jobs": [job("transferring")], "next_cursor": None}
    document = ctl.json("status")
    assert document["targets"] == [target()]
    assert document["progress"] == [{"target": "forge", **PROGRESS}]
    assert document["daemon"]["version"] == "9.9.9"


def test_a_job_that_ends_while_status_asks_is_left_out(ctl: Ctl) -> None:
    """A look that found nothing is kept nowhere: a moment later nobody knows it any more."""
    ctl.canned.answers["sync.active"] = {"success": True, "jobs": [job("scanning")], "next_cursor": None}
    ctl.canned.answers["sync.progress"] = UnknownJob("no job has that id")
    document = ctl.json("status")
    assert document["progress"] == [] and document["targets"] == [target()]


def test_status_reads_all_pages(ctl: Ctl) -> None:
    pages = [
        {"success": True, "targets": [target("a")], "next_cursor": "1"},
        {"success": True, "targets": [target("b")], "next_cursor": None},
    ]
    ctl.canned.answers["target.list"] = pages
    assert [each["name"] for each in ctl.json("status")["targets"]] == ["a", "b"]


def test_status_tells_what_concerns_the_daemon_itself(ctl: Ctl) -> None:
    problems = [problem("config_error", "forged.toml:3: poll: no duration")]
    ctl.canned.answers["daemon.status"] = {**ctl.canned.answers["daemon.status"], "problems": problems}
    assert "✘ forged: forged.toml:3: poll: no duration" in ctl.text("status")


def test_status_without_targets_says_how_to_get_one(ctl: Ctl) -> None:
    ctl.canned.answers["target.list"] = {"success": True, "targets": [], "next_cursor": None}
    assert "forged probe URL" in ctl.text("status")


# --- jobs -----------------------------------------------------------------------------------------------------------------


def test_sync_says_what_has_begun(ctl: Ctl) -> None:
    text = ctl.text("sync", "forge", "--folder", "a", "--folder", "b")
    assert SYNC_ID in text
    assert ctl.canned.params("sync.start") == {"target": "forge", "folders": ["a", "b"]}
    assert ctl.json("sync", "forge")["sync_id"] == SYNC_ID


@pytest.mark.parametrize(("end", "status"), [("complete", 0), ("failed", 1), ("cancelled", 1)])
def test_sync_wait_follows_the_job_to_its_end(ctl: Ctl, end: rpc.Status, status: int) -> None:
    ctl.canned.answers["sync.status"] = {"success": True, "job": job("transferring")}
    other = PROGRESS | {"sync_id": "another"}
    ctl.canned.notes = [
        ("sync_progress", other),
        ("sync_progress", PROGRESS),
        ("sync_complete", job(sync_id="another")),
        ("sync_complete", job(end)),
    ]
    first, last, *errors = ctl.text("sync", "forge", "--wait", status=status).splitlines()
    assert first == "forge: transferring: 120 of 400 files, 34.0 MB of 120 MB, 12.5 MB/s, 7.0 s left"
    assert last == f"forge: {end}, 120 files, 3.4 GB, in 12 s"
    assert bool(errors) is bool(status)
    assert ctl.json("sync", "forge", "--wait", status=status) == {"success": end == "complete", "job": job(end)}


def test_sync_wait_sees_a_job_that_ended_before_it_looked(ctl: Ctl) -> None:
    assert ctl.text("sync", "forge", "--wait") == "forge: complete, 120 files, 3.4 GB, in 12 s\n"


def test_sync_wait_looks_again_when_notifications_were_lost(ctl: Ctl) -> None:
    statuses = [{"success": True, "job": job("transferring")}, {"success": True, "job": job()}]
    ctl.canned.answers["sync.status"] = iter(statuses)
    ctl.canned.notes = [("sync_progress", PROGRESS), ("rpc.dropped", {"count": 3})]
    assert "forge: complete" in ctl.text("sync", "forge", "--wait")


def test_jobs_lists_those_at_work_first_and_none_twice(ctl: Ctl) -> None:
    running = job("transferring", id="1", sync_id="sync_20261123_080000_00000001")
    ctl.canned.answers["sync.active"] = {"success": True, "jobs": [running], "next_cursor": None}
    ctl.canned.answers["sync.list"] = {"success": True, "jobs": [running, job("failed")], "next_cursor": None}
    head, *rows = ctl.text("jobs").splitlines()
    assert head.split() == ["ID", "TARGET", "STATUS", "STARTED", "TOOK", "FILES", "SIZE"]
    assert [row.split()[0] for row in rows] == [running["sync_id"], SYNC_ID]
    assert rows[1].endswith(r"no answer from evil\x1b]0;owned\x07[red]\n.png")
    assert ctl.json("jobs", "-n", "1")["jobs"] == [running]


def test_jobs_come_from_as_many_pages_as_it_takes(ctl: Ctl) -> None:
    """A page holds fewer than were asked for where jobs have many errors."""
    pages = [{"success": True, "jobs": [job("failed", id=id)], "next_cursor": next} for id, next in (("c", "1"), ("b", "2"))]
    ctl.canned.answers["sync.active"] = {"success": True, "jobs": [], "next_cursor": None}
    ctl.canned.answers["sync.list"] = [*pages, {"success": True, "jobs": [job("failed", id="a")], "next_cursor": None}]
    assert [one["id"] for one in ctl.json("jobs")["jobs"]] == ["c", "b", "a"]
    ctl.canned.answers["sync.list"] = list(pages)
    assert [one["id"] for one in ctl.json("jobs", "-n", "2")["jobs"]] == ["c", "b"]
    asked = [(params["limit"], params.get("cursor")) for method, params in ctl.canned.asked if method == "sync.list"]
    assert asked == [(20, None), (19, "1"), (18, "2"), (2, None), (1, "1")]


def test_job_shows_how_far_it_is_or_what_it_did(ctl: Ctl) -> None:
    assert "120 files, 3.4 GB, in 12 s" in ctl.text("job", SYNC_ID)
    ctl.canned.answers["sync.status"] = {"success": True, "job": job("transferring")}
    assert "120 of 400 files" in ctl.text("job", SYNC_ID)
    assert ctl.json("job", SYNC_ID)["progress"] == PROGRESS


@pytest.mark.parametrize(("success", "status"), [(True, 0), (False, 1)])
def test_cancel_says_whether_it_did(ctl: Ctl, success: bool, status: int) -> None:
    ctl.canned.answers["sync.cancel"] = {"success": success, "message": "so it is"}
    assert ctl.text("cancel", SYNC_ID, status=status) == "so it is\n"
    assert ctl.canned.params("sync.cancel") == {"job_id": SYNC_ID}


# --- flow -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["pause", "resume"])
def test_pause_and_resume(ctl: Ctl, word: str) -> None:
    ctl.canned.answers[f"target.{word}"] = {"success": True, "message": "forge rests"}
    assert ctl.text(word, "forge") == "forge rests\n"
    assert ctl.json(word, "forge") == {"success": True, "message": "forge rests"}


LIMITS: rpc.Limits = {
    "success": True,
    "message": "",
    "limits": [
        {"target": None, "rate": 5_000_000, "limit": "08:00,5MB/s 23:00,off", "origin": "config"},
        {"target": "forge", "rate": None, "limit": "off", "origin": "kept"},
    ],
}


def test_limit_shows_all_bounds(ctl: Ctl) -> None:
    ctl.canned.answers["transfer.limit"] = LIMITS
    assert ctl.text("limit").splitlines() == [
        "TARGET             NOW  AS SET                 FROM",
        "all together  5.0 MB/s  08:00,5MB/s 23:00,off  config",
        "forge              off  off                    kept",
    ]
    assert ctl.canned.params("transfer.limit") == {"keep": False}


def test_limit_takes_a_timetable_in_words_or_as_one(ctl: Ctl) -> None:
    ctl.canned.answers["transfer.limit"] = LIMITS
    ctl.run("limit", "--target", "forge", "--keep", "08:00,5MB/s", "23:00,off")
    assert ctl.canned.params("transfer.limit") == {"target": "forge", "limit": "08:00,5MB/s 23:00,off", "keep": True}
    assert ctl.run("limit", "--keep").exit_code == 2


# --- cleanup --------------------------------------------------------------------------------------------------------------


def cleaned(**changes: Any) -> dict[str, Any]:
    return {
        "success": True,
        "dry_run": False,
        "files_deleted": 12,
        "space_freed_bytes": 24_000_000,
        "removed_unnamed": 0,
        "kept_unnamed": 999,
        "removed": [{"path": f"{i}{EVIL}", "size": 2_000_000} for i in range(12)],
        "kept": [
            {"path": "young.png", "why": "young"},
            *({"path": f"different-{i}.png", "why": "home_differs", "message": "7 bytes"} for i in range(5)),
        ],
        "kept_counts": {"young": 1_000, "home_differs": 5},
        "errors": [],
    } | changes


def test_cleanup_tells_what_went_and_why_the_rest_stays(ctl: Ctl) -> None:
    ctl.canned.answers["cleanup.run"] = cleaned()
    lines = ctl.text("cleanup", "forge").splitlines()
    assert lines[0] == "forge: 12 files removed, 24.0 MB freed"
    assert lines[1] == r"  2.0 MB  0evil\x1b]0;owned\x07[red]\n.png"
    assert lines[11] == "  and 2 more (--all names up to 1,000)"
    assert lines[12:] == [
        "1,005 files kept",
        "  5 home_differs: its copy at home is not what landed there",
        *(f"    different-{i}.png: 7 bytes" for i in range(3)),
        "  1,000 young: younger than the age limit",
    ]
    lines = ctl.text("cleanup", "forge", "--all").splitlines()
    assert len(lines) == 1 + 12 + 1 + 6 + 2 + 1
    assert lines[-2:] == ["    young.png", "    and 999 more (more than one answer holds)"]


def test_cleanup_of_more_than_an_answer_holds_says_how_many_it_does_not_name(ctl: Ctl) -> None:
    ctl.canned.answers["cleanup.run"] = cleaned(files_deleted=1_500, removed_unnamed=1_488)
    assert "  and 1,488 more (more than one answer holds)" in ctl.text("cleanup", "forge", "--all").splitlines()
    told = ctl.json("cleanup", "forge", "--all")
    assert (told["removed_unnamed"], told["kept_unnamed"]) == (1_488, 999)


def test_a_dry_run_says_would(ctl: Ctl) -> None:
    ctl.canned.answers["cleanup.run"] = cleaned(dry_run=True)
    assert ctl.text("cleanup", "forge", "--dry-run").startswith("forge: 12 files would go, 24.0 MB would be freed\n")
    assert ctl.canned.params("cleanup.run") == {"target": "forge", "dry_run": True}


def test_a_failed_cleanup_says_why(ctl: Ctl) -> None:
    ctl.canned.answers["cleanup.run"] = cleaned(success=False, errors=["the source is gone"])
    assert ctl.text("cleanup", "forge", status=1).endswith("✘ the source is gone\n")
    assert ctl.json("cleanup", "forge", status=1)["errors"] == ["the source is gone"]


# --- what only a person decides -------------------------------------------------------------------------------------------


def held(ctl: Ctl) -> None:
    hold = problem("held", "All 1,200 files are gone at once.")
    ctl.canned.answers["target.status"] = {"success": True, "target": target(held=True, problems=[problem(), hold])}
    ended = {"reason": "emptied", "message": hold["message"], "since": AT}
    ctl.canned.answers["target.release"] = {"success": True, "message": "forge is released", "held": ended}


def test_release_shows_why_it_was_held(ctl: Ctl) -> None:
    held(ctl)
    first, _, last = ctl.text("release", "forge", "--yes").splitlines()
    assert first.startswith("✘ forge: All 1,200 files are gone at once. (for ")
    assert last == "forge is released"
    assert ctl.json("release", "forge", "--yes")["held"]["reason"] == "emptied"


def test_release_needs_a_persons_yes(ctl: Ctl) -> None:
    held(ctl)
    assert ctl.run("release", "forge", input="y\n").exit_code == 2
    assert ctl.run("release", "forge", "--json").exit_code == 2
    assert not any(method == "target.release" for method, _ in ctl.canned.asked)


def test_release_of_what_is_not_held_asks_nothing(ctl: Ctl) -> None:
    ctl.canned.answers["target.release"] = {"success": True, "message": "forge was not held", "held": None}
    assert ctl.text("release", "forge") == "forge was not held\n"


def test_trust_takes_a_fingerprint_only(ctl: Ctl) -> None:
    ctl.canned.answers["target.trust"] = {"success": True, "message": "trusted"}
    assert ctl.run("trust", "forge", "MD5:00").exit_code == 2
    assert ctl.text("trust", "forge", "SHA256:abc") == "trusted\n"
    assert ctl.canned.params("target.trust") == {"target": "forge", "fingerprint": "SHA256:abc"}


# --- drain and verify -----------------------------------------------------------------------------------------------------


def drained(**changes: Any) -> dict[str, Any]:
    return {
        "success": True,
        "safe_to_destroy": True,
        "message": "",
        "files_at_source": 120,
        "bytes_at_source": 3_400_000_000,
        "counts": {"home": 119, "excluded": 1},
        "missing": [],
        "missing_unnamed": 0,
        "aside": [{"path": "cache/x", "why": "excluded"}],
        "aside_unnamed": 0,
    } | changes


def test_drain_answers_yes(ctl: Ctl) -> None:
    ctl.canned.answers["target.drain"] = drained(message="forge: safe to destroy: yes")
    assert ctl.text("drain", "forge", "--timeout", "1h30m").splitlines() == [
        "forge: safe to destroy: yes",
        "  120 files (3.4 GB) at the source, 119 of them safe at home",
        "  stays behind: 1 file, not wanted (folders, include, exclude, max_size)",
        "    cache/x",
    ]
    assert ctl.canned.params("target.drain") == {"target": "forge", "timeout": "1h30m"}


def test_drain_answers_no_with_what_is_missing(ctl: Ctl) -> None:
    missing = [{"path": f"{i}.png", "why": "home_missing"} for i in range(12)]
    counts = {"home": 0, "home_missing": 500, "unreadable": 7}
    changes = {"safe_to_destroy": False, "missing": missing, "missing_unnamed": 495, "counts": counts, "aside": []}
    ctl.canned.answers["target.drain"] = drained(**changes)
    lines = ctl.text("drain", "forge", status=1).splitlines()
    assert lines[0] == "forge: safe to destroy: no"
    assert lines[2] == "  missing: 500 files, its copy at home is gone"
    assert lines[-2:] == ["  and 490 more (--json names more)", "  missing: 495 files not named, more than one answer holds"]
    assert ctl.json("drain", "forge", status=1)["safe_to_destroy"] is False


def test_drain_that_did_not_come_through_is_never_a_yes(ctl: Ctl) -> None:
    ctl.canned.answers["target.drain"] = drained(success=False, message="time is up")
    assert ctl.text("drain", "forge", status=1).startswith("forge: safe to destroy: no\n  time is up\n")


def compared(*symbols: str, **changes: Any) -> dict[str, Any]:
    rows = [{"path": f"{i}{EVIL}", "symbol": symbol} for i, symbol in enumerate(symbols)]
    return {"success": True, "rows": rows, "counts": {"=": 100}, "next_cursor": None} | changes


def test_verify_adds_up_the_pages(ctl: Ctl) -> None:
    changed = [{"path": "a.png", "symbol": "*", "why": "home_differs"}]
    first = compared("+", counts={"=": 100, "+": 1}, next_cursor="1")
    ctl.canned.answers["target.verify"] = [first, compared(rows=changed, counts={"=": 23, "*": 1})]
    assert ctl.text("verify", "forge", "--rehash", status=1).splitlines() == [
        r"+ 0evil\x1b]0;owned\x07[red]\n.png",
        "* a.png: its copy at home is not what landed there",
        "forge: 123 same, 1 only at home, 1 different",
    ]
    assert ctl.canned.asked[0][1] == {"target": "forge", "rehash": True, "same": False}
    document = ctl.json("verify", "forge", status=1)
    assert (len(document["rows"]), document["counts"]) == (2, {"=": 123, "+": 1, "*": 1})


@pytest.mark.parametrize(("symbol", "status"), [("=", 0), ("+", 0), ("-", 1), ("*", 1)])
def test_verify_fails_for_what_is_missing_or_differs(ctl: Ctl, symbol: str, status: int) -> None:
    ctl.canned.answers["target.verify"] = compared(symbol, counts={symbol: 1})
    assert ctl.run("verify", "forge").exit_code == status


def test_what_stays_behind_knowingly_is_named_and_is_no_failure(ctl: Ctl) -> None:
    """Else a nightly `forgectl verify` fails for ever, once there is a preview that nobody wants."""
    rows = [{"path": "a.tmp", "symbol": "-", "why": "excluded"}, {"path": "b.png", "symbol": "-", "why": "tombstoned"}]
    ctl.canned.answers["target.verify"] = compared(rows=rows, counts={"=": 9, "-": 2})
    assert ctl.text("verify", "forge").splitlines() == [
        "- a.tmp: not wanted (folders, include, exclude, max_size)",
        "- b.png: you deleted it at home",
        "forge: 9 same, 2 stay behind knowingly",
    ]
    assert ctl.json("verify", "forge")["counts"] == {"=": 9, "-": 2}
    rows.append({"path": "c.png", "symbol": "-", "why": "home_missing"})
    ctl.canned.answers["target.verify"] = compared(rows=rows, counts={"=": 9, "-": 3})
    assert ctl.text("verify", "forge", status=1).splitlines()[-1] == "forge: 9 same, 1 missing at home, 2 stay behind knowingly"


def test_what_stays_behind_knowingly_is_the_same_for_a_drain() -> None:
    assert KNOWINGLY == ASIDE


# --- manifest, events, service --------------------------------------------------------------------------------------------


def remembered(name: str, **changes: Any) -> dict[str, Any]:
    row = {"path": name, "home": name, "size": 2_000_000, "mtime": AT, "sha256": "00" * 32, "landed_at": AT, "state": "present"}
    return row | {"incomplete": False, "tombstone_at": None} | changes


def test_manifest_show_lists_all_pages(ctl: Ctl) -> None:
    page = {"success": True, "total_files": 2, "total_bytes": 4_000_000}
    ctl.canned.answers["manifest.list"] = [
        page | {"files": [remembered(EVIL)], "next_cursor": "1"},
        page | {"files": [remembered("b.png", state="removed", tombstone_at=AT)], "next_cursor": None},
    ]
    assert ctl.text("manifest", "show", "forge").splitlines() == [
        "HOME SINCE                SIZE  NAME AT HOME",
        r"2026-11-23 07:00:00    2.0 MB  evil\x1b]0;owned\x07[red]\n.png",
        "2026-11-23 07:00:00    2.0 MB  b.png  (removed at the source, deleted at home)",
        "forge: 2 files, 4.0 MB",
    ]
    assert [file["path"] for file in ctl.json("manifest", "show", "forge")["files"]] == [EVIL, "b.png"]


def test_manifest_forget_keeps_bytes_that_are_no_text(ctl: Ctl) -> None:
    ctl.canned.answers["manifest.forget"] = {"success": True, "message": "2 files forgotten", "files": 2}
    assert ctl.text("manifest", "forget", "forge", "ä b.png", "\udcff.png") == "2 files forgotten\n"
    given = ctl.canned.params("manifest.forget")
    assert given["paths"] == ["ä b.png"]
    assert [base64.b64decode(each) for each in given["paths_b64"]] == [b"\xff.png"]
    assert ctl.run("manifest", "forget", "forge").exit_code == 2
    ctl.canned.answers["manifest.forget"] = {"success": False, "message": "nothing is remembered by that name", "files": 0}
    assert ctl.text("manifest", "forget", "forge", "b.png", status=1) == "nothing is remembered by that name\n"


def test_manifest_reset_needs_a_persons_yes(ctl: Ctl) -> None:
    ctl.canned.answers["manifest.reset"] = {"success": True, "message": "all forgotten", "files": 9}
    assert ctl.run("manifest", "reset", "forge").exit_code == 2
    assert ctl.text("manifest", "reset", "forge", "-y") == "all forgotten\n"


def test_events_shows_the_last_ones(ctl: Ctl) -> None:
    text = "2026-11-23 07:00:00  forge  came home      a/evil\\x1b]0;owned\\x07[red]\\n.png\n"
    assert ctl.text("events", "--target", "forge") == text
    assert ctl.canned.params("events.subscribe") == {"target": "forge"}
    assert ctl.json("events")["recent"] == [EVENT]


def reloaded(**changes: Any) -> dict[str, Any]:
    lists: dict[str, Any] = {name: [] for name in ("problems", "added", "removed", "changed", "restart_needed")}
    return {"success": True, "message": "the configuration is in force"} | lists | changes


def test_reload_says_what_changed(ctl: Ctl) -> None:
    ctl.canned.answers["daemon.reload"] = reloaded(added=["a", "b"], restart_needed=["daemon.socket"])
    assert ctl.text("reload", "--wait").splitlines() == [
        "the configuration is in force",
        "  added: a, b",
        "  takes effect with the next start only: daemon.socket",
    ]
    assert ctl.canned.params("daemon.reload") == {"wait": True}


def test_a_reload_that_changed_nothing_ends_with_2(ctl: Ctl) -> None:
    problems = ["forged.toml:3: poll: no duration\nwrite 30s"]
    ctl.canned.answers["daemon.reload"] = reloaded(success=False, message="configuration NOT changed", problems=problems)
    lines = ctl.text("reload", status=2).splitlines()
    assert lines == ["configuration NOT changed", "  forged.toml:3: poll: no duration", "  write 30s"]
    assert ctl.json("reload", status=2)["success"] is False


def test_config_shows_values_and_where_they_come_from(ctl: Ctl) -> None:
    values = [
        {"key": "daemon.log_level", "value": "info", "origin": "default"},
        {"key": "target.forge.poll", "value": "10s", "origin": "/etc/f.toml:7"},
        {"key": "target.forge.exclude", "value": ["*.tmp"] * 20, "origin": "preset"},
    ]
    ctl.canned.answers["daemon.config"] = {"success": True, "path": "/etc/f.toml", "values": values, "next_cursor": None}
    assert ctl.text("config").splitlines() == [
        "/etc/f.toml",
        'daemon.log_level = "info"  default',
        'target.forge.poll = "10s"  line 7',
        f"target.forge.exclude = {json.dumps(['*.tmp'] * 20)}  preset",
    ]
    assert ctl.json("config", "target.forge")["values"] == values[1:]
    assert ctl.json("config", "--target", "forge")["values"] == values[1:]
    assert ctl.json("config", "--changed")["values"] == values[1:]
    assert ctl.run("config", "no.such").exit_code == 1
    assert ctl.run("config", "--target", "for").exit_code == 1, "a name is whole"


def test_call_prints_any_methods_result(ctl: Ctl) -> None:
    assert json.loads(ctl.text("call", "target.status", '{"target": "forge"}'))["target"] == target()
    assert "openrpc" in json.loads(ctl.text("call", "rpc.discover"))
    assert ctl.run("call", "target.status", "nonsense").exit_code == 2
    assert ctl.run("call", "target.status", "[1]").exit_code == 2
    assert "Method not found" in ctl.run("call", "no.such").stderr


# --- what can go wrong ----------------------------------------------------------------------------------------------------


def test_an_error_of_the_daemon_ends_with_1_and_says_what_to_do(ctl: Ctl) -> None:
    ctl.canned.answers["sync.start"] = UNREACHABLE
    result = ctl.run("sync", "forge")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[:2] == ["✘ forgectl: The source does not answer", "  at all."]
    assert result.stderr.splitlines()[2].startswith("  → check that the box runs")
    error = ctl.json("sync", "forge", status=1)["error"]
    assert (error["code"], error["type"]) == (-32000, "source_unreachable")


def test_no_permission_ends_with_3(ctl: Ctl) -> None:
    ctl.canned.answers["sync.start"] = FORBIDDEN
    result = ctl.run("sync", "forge")
    assert result.exit_code == 3
    assert "the socket's group" in result.stderr


@pytest.mark.parametrize("arguments", [["sync"], ["nonsense"], ["status", "--nonsense"], ["drain", "forge", "--timeout", "soon"]])
def test_wrong_usage_ends_with_2(ctl: Ctl, arguments: list[str]) -> None:
    assert ctl.run(*arguments).exit_code == 2


def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path) -> None:
    ctl = Ctl(tmp_path / "none", Canned())
    result = ctl.run("status")
    assert result.exit_code == 3
    assert "forged run" in result.stderr and "systemctl start forged" in result.stderr
    assert ctl.json("status", status=3)["error"]["type"] == "no_daemon"


def test_without_a_daemon_it_names_every_socket_that_it_tried(tmp_path: Path) -> None:
    done = forgectl("status", XDG_RUNTIME_DIR=str(tmp_path))
    assert done.returncode == 3
    assert f"on {tmp_path}/forged/forged.sock or on /run/forged/forged.sock" in done.stderr


def test_without_a_daemon_status_says_which_mistakes_keep_it_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGED_CONFIG", str(tmp_path / "forged.toml"))
    ctl = Ctl(tmp_path / "none", Canned())
    (tmp_path / "forged.toml").write_text("[daemon]\nsoket = 1\n" + "".join(f"[x{n}]\n" for n in range(9)))
    result = ctl.run("status")
    assert result.exit_code == 3
    assert f"  {tmp_path}/forged.toml:2: daemon.soket: " in result.stderr and "did you mean 'socket'" in result.stderr
    assert "  and 7 more\n" in result.stderr and "systemctl start forged" in result.stderr
    (tmp_path / "forged.toml").write_text(f'[daemon]\nsocket = "{tmp_path}/else where"\n')
    assert f"forgectl --socket '{tmp_path}/else where' status" in ctl.run("status").stderr
    (tmp_path / "forged.toml").write_text(f'[daemon]\nsocket = "{tmp_path}/none"\n')
    assert "forged.toml is right" in ctl.run("status").stderr and "journalctl -u forged" in ctl.run("status").stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what a service may not")
def test_without_a_daemon_root_is_told_of_a_key_that_the_user_of_the_service_may_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by ssh-keygen as root, for a service that runs as another: status said that all is right."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "state").mkdir()
        os.chown(folder / "state", pwd.getpwnam("nobody").pw_uid, -1)
        (folder / "key").touch(mode=0o600)
        target = f'[[target]]\nname = "box"\nsource = "ssh://box/x"\ndest = "/srv/x"\nidentity_file = "{folder}/key"\n'
        (folder / "forged.toml").write_text(f'[daemon]\nsocket = "{folder}/none"\nstate_dir = "{folder}/state"\n{target}')
        monkeypatch.setenv("FORGED_CONFIG", str(folder / "forged.toml"))
        told = Ctl(folder / "none", Canned()).run("status").stderr
        assert "as the user nobody it does not start:" in told and f"no file at {folder}/key" in told and "chown nobody" in told
        assert os.getresuid() == (0, 0, 0) and os.getresgid()[0] == 0
        (folder / "key").chmod(0o644)
        assert "forged.toml is right" in Ctl(folder / "none", Canned()).run("status").stderr


@pytest.mark.parametrize(("typed", "meant"), [("statu", "'status'"), ("clean", "'cleanup'"), ("duplicate", "'duplicates'")])
def test_a_mistyped_command_is_told_what_it_may_have_meant(ctl: Ctl, typed: str, meant: str) -> None:
    result = ctl.run(typed)
    assert result.exit_code == 2 and f"Did you mean {meant}?" in result.stderr


def test_a_daemon_of_another_version_is_named_where_it_does_not_know_what_is_asked(ctl: Ctl) -> None:
    del ctl.canned.answers["target.list"]["targets"]
    result = ctl.run("status")
    assert result.exit_code == 1 and "the daemon is forged 9.9.9" in result.stderr and "systemctl restart forged" in result.stderr
    assert "the daemon is forged 9.9.9" in ctl.run("call", "no.such").stderr
    assert "the daemon is forged 9.9.9" in ctl.json("status", status=1)["error"]["hint"]


def test_each_command_has_its_help_without_a_daemon() -> None:
    for name in COMMANDS:
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0, name
    assert all(name in CliRunner().invoke(cli, ["--help"]).output for name in COMMANDS)
