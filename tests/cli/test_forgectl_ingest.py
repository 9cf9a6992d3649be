"""forgectl ingest tells what handlers did not take, and asks before anything is given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.model import rpc
from tests.cli.canned import AT, EVIL, Canned, daemon
from tests.cli.test_forgectl import Ctl


def handler(name: str, **changes: object) -> rpc.IngestHandler:
    plain: rpc.IngestHandler = {
        **{"name": name, "type": "python", "up": True, "delivered": 9, "waiting": 0, "retried": 0, "set_aside": 0},
        **{"failures": 0, "problems": [], "replaying": False},
    }  # type: ignore[typeddict-item]
    return {**plain, **changes}  # type: ignore[typeddict-item]


def event(id: int, **changes: object) -> rpc.AsideEvent:
    plain: rpc.AsideEvent = {
        **{"id": id, "handler": "own", "kind": "file_synced", "target": "box", "at": AT, "key": f"/srv/{id}.png"},
        **{"tries": 10, "error": f"ValueError: {EVIL}", "since": AT, "set_aside": True},
    }  # type: ignore[typeddict-item]
    return {**plain, **changes}  # type: ignore[typeddict-item]


PAGES = [
    {
        "success": True,
        "handlers": [handler("catalog"), handler("own", waiting=3, retried=1, set_aside=12, replaying=True)],
        "events": [event(number) for number in range(1, 13)],
        "next_cursor": "1",
    },
    {"success": True, "handlers": [], "events": [event(13, tries=1, set_aside=False, error="")], "next_cursor": None},
]


@pytest.fixture
def ctl(tmp_path: Path) -> Iterator[Ctl]:
    canned = Canned()
    with daemon(tmp_path / "s", canned):
        canned.answers["ingest.list"] = list(PAGES)
        for method in ("retry", "drop", "replay"):
            canned.answers[f"ingest.{method}"] = {"success": True, "message": "2 events are brought to own again", "events": 2}
        yield Ctl(tmp_path / "s", canned)


def test_handlers_and_below_each_what_it_did_not_take(ctl: Ctl) -> None:
    lines = ctl.text("ingest").splitlines()
    assert lines[0] == "catalog (python): has taken everything"
    assert lines[1] == "own (python): 3 waiting, 1 tried again, 12 set aside, what is home is brought to it again"
    assert lines[2] == "  1  2026-11-23 07:00:00  file_synced  /srv/1.png  (set aside; 10 tries)"
    assert lines[3].startswith("      ValueError: evil")
    assert lines[-1] == "  and 3 more (--json names all)"


def test_json_names_all_and_list_is_the_same(ctl: Ctl) -> None:
    assert [one["id"] for one in ctl.json("ingest")["events"]] == list(range(1, 14))
    assert len(ctl.json("ingest", "list")["events"]) == 13


def test_all_or_some_are_retried_and_replayed(ctl: Ctl) -> None:
    assert ctl.text("ingest", "retry", "own") == "2 events are brought to own again\n"
    ctl.text("ingest", "retry", "own", "4", "5")
    assert ctl.json("ingest", "replay", "own")["events"] == 2
    asked = [params for method, params in ctl.canned.asked if method.startswith("ingest.")]
    assert asked == [{"handler": "own"}, {"handler": "own", "events": [4, 5]}, {"handler": "own"}]


def test_what_is_dropped_is_asked_for_and_without_a_person_needs_yes(ctl: Ctl) -> None:
    assert ctl.run("ingest", "drop", "own").exit_code == 2
    assert not [method for method, _ in ctl.canned.asked if method == "ingest.drop"]
    ctl.text("ingest", "drop", "own", "7", "--yes")
    assert ("ingest.drop", {"handler": "own", "events": [7]}) in ctl.canned.asked


def test_a_word_that_is_no_command_is_wrong_use(ctl: Ctl) -> None:
    assert ctl.run("ingest", "retyr").exit_code == 2
    assert "retry" in ctl.text("ingest", "--help")
