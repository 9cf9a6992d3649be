"""What forgectl shows of discoveries, their boxes, alarms and ingest handlers: alarms above everything, the rest calm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forged.cli.ctl.status import board
from forged.cli.telling import Line, Tone
from forged.model import rpc
from tests.cli.canned import DAEMON, EVIL, problem, target

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


def discovery(**changes: Any) -> rpc.Discovery:
    one: rpc.Discovery = {
        **{"name": "cloud", "type": "vastai", "up": True, "asked_at": at(-12), "answered_at": at(-12), "next_at": at(48)},
        **{"boxes": 3, "gone": 0, "problems": []},
    }
    return {**one, **changes}  # type: ignore[typeddict-item]


def handler(**changes: Any) -> rpc.Handler:
    one: rpc.Handler = {
        **{"name": "phone", "type": "webhook", "up": True, "delivered": 3, "waiting": 0, "retried": 0, "set_aside": 0},
        **{"failures": 0, "problems": []},
    }
    return {**one, **changes}  # type: ignore[typeddict-item]


def shown(*targets: rpc.Target, **daemon: Any) -> list[Line]:
    return board(targets, {}, {**DAEMON, **daemon}, NOW)  # type: ignore[typeddict-item]


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize(
    ("changes", "text", "tone"),
    [
        ({}, "discovery cloud (vastai): 3 boxes, asked 12 s ago, again in 48 s", Tone.QUIET),
        ({"boxes": 1}, "discovery cloud (vastai): 1 box, asked 12 s ago, again in 48 s", Tone.QUIET),
        ({"gone": 2, "next_at": None}, "discovery cloud (vastai): 3 boxes (2 gone), asked 12 s ago", Tone.QUIET),
        ({"up": None, "answered_at": None}, "discovery cloud (vastai): 3 boxes, not answered yet, again in 48 s", Tone.QUIET),
        ({"up": False}, "discovery cloud (vastai): 3 boxes, no answer (the last 12 s ago), again in 48 s", Tone.BAD),
        ({"up": False, "answered_at": None}, "discovery cloud (vastai): 3 boxes, no answer yet, again in 48 s", Tone.BAD),
        ({"next_at": at(-1)}, "discovery cloud (vastai): 3 boxes, asked 12 s ago", Tone.QUIET),
    ],
)
def test_a_discovery_is_a_line(changes: dict[str, Any], text: str, tone: Tone) -> None:
    assert Line(text, tone) in shown(discoveries=[discovery(**changes)])


@pytest.mark.parametrize(
    ("changes", "text", "tone"),
    [
        ({}, "ingest phone (webhook): nothing waits", Tone.QUIET),
        ({"up": None, "waiting": 1}, "ingest phone (webhook): 1 event waits", Tone.QUIET),
        ({"set_aside": 2}, "ingest phone (webhook): nothing waits, 2 set aside", Tone.BAD),
        ({"up": False, "waiting": 40, "failures": 3}, "ingest phone (webhook): not taken, tried 3 times, 40 events wait", Tone.BAD),
    ],
)
def test_a_handler_is_a_line(changes: dict[str, Any], text: str, tone: Tone) -> None:
    assert Line(text, tone) in shown(handlers=[handler(**changes)])


def test_alarms_stand_above_everything_else_and_are_not_said_twice() -> None:
    calm = target("studio", problems=[problem("held", "cleanup is held")])
    lost = target("cloud-7", state="lost", label="my box", problems=[problem("lost", "is gone: 3 files not home"), problem()])
    lines = texts(shown(calm, lost, discoveries=[discovery()]))
    assert lines[0].startswith("✘ cloud-7 (my box): is gone: 3 files not home (for ")
    assert lines[1] == "  → check that the box runs"
    assert lines[2] == ""
    assert lines[3].startswith("TARGET")
    assert sum("is gone" in line for line in lines) == 1
    assert lines.index(next(line for line in lines if "cleanup is held" in line)) > lines.index(
        next(line for line in lines if line.startswith("discovery cloud"))
    )


def test_a_box_that_sleeps_is_said_calmly_and_why() -> None:
    lines = shown(target("cloud-8", state="waiting", label="night", asleep="it is stopped: start it"))
    assert Line("cloud-8 (night): it is stopped: start it", Tone.QUIET) in lines
    assert not [line for line in lines if line.tone is Tone.BAD]


def test_troubles_of_discoveries_and_handlers_come_with_their_cure() -> None:
    lines = texts(shown(discoveries=[discovery(problems=[problem()])], handlers=[handler(problems=[problem("x", "answers 500")])]))
    assert [line.split(" (for")[0] for line in lines if line.startswith("✘")] == [
        "✘ discovery cloud: The source does not answer.",
        "✘ ingest phone: answers 500",
    ]
    assert lines.count("  → check that the box runs") == 2


def test_names_and_labels_from_a_provider_obey_no_terminal() -> None:
    evil = target("cloud-7", state="lost", label=EVIL, asleep=EVIL, problems=[problem("lost", f"is gone {EVIL}")])
    lines = shown(evil, discoveries=[discovery(name=EVIL)], handlers=[handler(name=EVIL)])
    assert all(line.text.isprintable() for line in lines)


def test_without_boxes_it_does_not_ask_for_targets() -> None:
    assert texts(shown(discoveries=[discovery(boxes=0)]))[0] == "no boxes yet"


def test_a_usual_screen_fits_into_100_columns() -> None:
    boxes = [target(f"cloud-{30_000_000 + n}", state="transferring", backlog_files=123, backlog_bytes=10**10) for n in range(3)]
    sleeping = target("cloud-30000009", state="waiting", asleep="it is stopped: its disk is kept (and paid for)", label="studio")
    lines = shown(*boxes, sleeping, discoveries=[discovery()], handlers=[handler()])
    assert max(len(line.text) for line in lines) <= 100


def test_files_that_wait_until_nobody_writes_them_have_no_size_that_anybody_knows() -> None:
    lines = texts(shown(target(backlog_files=5, backlog_bytes=0)))
    assert any(" 5 " in line for line in lines)
    assert not any(" 0 B" in line for line in lines), lines
