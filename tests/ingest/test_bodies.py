"""What webhooks send, in three formats."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.ingest.bodies import json_body, ntfy_body, slack_body
from forged.model.alarms import AlarmKind
from forged.model.events import Event, EventId, EventKind
from tests.ingest.happened import event, lost


def of(body: bytes) -> Any:
    return json.loads(body)


def test_json_has_everything() -> None:
    body = of(json_body([event(7, path="a.png", size=3, seed="18446744073709551615"), lost(8)]))
    assert list(body) == ["events"]
    first, second = body["events"]
    assert first == {
        **{"id": 7, "kind": "file_synced", "target": "studio", "at": "2023-11-14T22:13:20.250+00:00", "key": "a.png"},
        "data": {"path": "a.png", "size": 3, "seed": "18446744073709551615"},
    }
    assert (second["id"], second["kind"]) == (8, "target_lost")


@pytest.mark.parametrize("body", ["", "{", "NaN", "\ud800", "[" * 10_000])
def test_a_body_that_is_no_json_spoils_nothing(body: str) -> None:
    bad = Event(EventId(1), EventKind.SYNC_FAILED, "studio", 0, "k", body)
    first, second = of(json_body([bad, event(2)]))["events"]
    assert (second["id"], first["kind"]) == (2, "sync_failed")
    assert of(ntfy_body("t", [bad]))["message"] == "k"
    assert "k" in of(slack_body([bad]))["text"]


def test_ntfy_tells_an_alarm_with_what_to_do() -> None:
    assert of(ntfy_body("media", [lost()])) == {
        "topic": "media",
        "title": "forged: studio: target lost",
        "message": "vast 312 stopped answering, 40 files are not home: look at its console",
        "priority": 4,
        "tags": ["warning"],
    }


def test_ntfy_is_calm_about_what_goes_as_it_should() -> None:
    body = of(ntfy_body("media", [event()]))
    assert (body["message"], body["priority"], body["tags"]) == ("a.png", 3, ["frame_with_picture"])


@pytest.mark.parametrize("kind", [kind.heals for kind in AlarmKind])
def test_what_is_well_again_wakes_nobody(kind: EventKind) -> None:
    body = of(ntfy_body("media", [event(kind=kind, message="studio is back")]))
    assert (body["message"], body["priority"], body["tags"]) == ("studio is back", 3, ["white_check_mark"])
    assert of(slack_body([event(kind=kind)]))["text"].startswith(":white_check_mark: ")
    mixed = [event(1), event(2, kind), lost(3)]
    assert of(ntfy_body("media", mixed))["priority"] == 4
    assert [line.split(": ")[1] for line in of(ntfy_body("media", mixed))["message"].splitlines()] == [
        "target lost",
        kind.value.replace("_", " "),
        "file synced",
    ]


@pytest.mark.parametrize("kind", [kind.breaks for kind in AlarmKind])
def test_every_alarm_is_one_to_a_telephone(kind: EventKind) -> None:
    assert of(ntfy_body("media", [event(kind=kind)]))["priority"] == 4


def test_many_events_are_one_message_alarms_first() -> None:
    events = [*(event(number, key=f"{number}.png") for number in range(99)), lost(99)]
    body = of(ntfy_body("media", events))
    assert body["title"] == "forged: 1 target lost, 99 file synced"
    lines = body["message"].splitlines()
    assert lines[0].startswith("studio: target lost: vast 312")
    assert (len(lines), lines[-1]) == (11, "… and 90 more")
    assert of(slack_body(events))["text"].splitlines()[1] == lines[0]


def test_slack_gets_its_text() -> None:
    assert of(slack_body([lost()])) == {
        "text": ":warning: forged: studio: target lost\nvast 312 stopped answering, 40 files are not home: look at its console"
    }


def test_a_name_from_a_box_calls_nobody_and_obeys_nobody() -> None:
    nasty = event(key="<!channel> @everyone <https://evil|click> &amp;\x1b[2J\n\u202egnp")
    text = of(slack_body([nasty]))["text"]
    assert not any(danger in text for danger in ("<", ">", "@e", "\x1b", "\u202e"))
    assert "&lt;!channel&gt;" in text and "&amp;amp;" in text
    assert of(ntfy_body("t", [nasty]))["message"].isprintable()


@given(st.lists(st.text(max_size=2000), min_size=1, max_size=30))
def test_messages_fit(keys: list[str]) -> None:
    events = [event(number, key=key, message=key * 3) for number, key in enumerate(keys)]
    assert len(of(ntfy_body("t", events))["message"].encode()) <= 4096
    assert len(of(slack_body(events))["text"]) <= 2000
    assert len(of(json_body(events))["events"]) == len(keys)
