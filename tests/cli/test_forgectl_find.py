"""forgectl find asks the right thing, and tells what was found to people, programs and pipes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forged.cli.ctl.find import listed
from forged.cli.forgectl import cli
from forged.model import rpc
from tests.cli.canned import AT, EVIL, Canned, daemon
from tests.cli.test_forgectl import Ctl


@pytest.fixture
def ctl(tmp_path: Path) -> Iterator[Ctl]:
    canned = Canned()
    with daemon(tmp_path / "s", canned):
        yield Ctl(tmp_path / "s", canned)


def file(name: str = "a.png", **changes: Any) -> rpc.FoundFile:
    row: rpc.FoundFile = {
        "path": name,
        "target": "box",
        "home": f"/srv/media/{name}",
        "size": 1_000,
        "sha256": "ab" * 32,
        "mtime": AT,
        "landed_at": AT,
        "kind": "image",
        "width": 512,
        "height": 512,
        "generator": "ComfyUI",
        "model": "sd_xl_base_1.0.safetensors",
        "seed": "18446744073709551615",
        "prompt": "\n a red fox, best quality\nand more",
    }
    return {**row, **changes}  # type: ignore[typeddict-item]


def page(*files: rpc.FoundFile, cursor: str | None = None) -> rpc.FoundPage:
    return {"success": True, "files": list(files), "next_cursor": cursor}


def test_a_row_says_when_what_with_which_model_and_seed_and_where(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    ctl.canned.answers["media.find"] = page(file(), file("b.png", prompt=None, model=None, seed=None))
    first, second = ctl.text("find", "red", "fox").splitlines()
    assert first.split("  ") == [
        "2026-11-23 07:00:00",
        "a red fox, best quality",
        "sd_xl_base_1.0.safetens…",
        "18446744073709551615",
        "/srv/media/a.png",
    ]
    assert second.split() == ["2026-11-23", "07:00:00", "-", "-", "-", "/srv/media/b.png"]


def test_a_prompt_is_cut_to_the_width_and_a_path_never() -> None:
    long = file("d/" * 60 + "a.png", prompt="many words " * 50)
    for width in (40, 80, 160, 300):
        [line] = listed([long], width)
        assert line.text.endswith(long["home"])
        assert "many words many…" in line.text or len(line.text) <= width


def test_what_is_asked_for_reaches_the_daemon(ctl: Ctl) -> None:
    ctl.canned.answers["media.find"] = page()
    assert (
        ctl.run("find", '"red fox"', "cat*", "--model", "xl", "--seed", "1", "--kind", "video", "--since", "2026-11-23").exit_code
        == 0
    )
    assert ctl.canned.asked[-1][1] == {
        "query": '"red fox" cat*',
        "model": "xl",
        "seed": "1",
        "kind": "video",
        "limit": 50,
        "since": datetime(2026, 11, 23).astimezone().isoformat(),
    }
    ctl.run("find", "--since", "2h", "--target", "box", "--", "-fox")
    _, params = ctl.canned.asked[-1]
    assert (params["query"], params["target"]) == ("-fox", "box")
    assert 7_190 < (datetime.now(UTC) - datetime.fromisoformat(params["since"])).total_seconds() < 7_300
    assert ctl.run("find", "--since", "yesterday-ish").exit_code == 2


def test_paths_for_pipes_are_exact(ctl: Ctl) -> None:
    exact = b"/srv/media/\xff\n.png"
    strange = file(home="/srv/media/\\xff\\n.png", home_b64=base64.b64encode(exact).decode())
    ctl.canned.answers["media.find"] = page(file(), strange)
    arguments = ["--socket", str(ctl.socket), "find", "--paths0"]
    assert CliRunner().invoke(cli, arguments).stdout_bytes == b"/srv/media/a.png\0" + exact + b"\0"
    ctl.canned.answers["media.find"] = page()
    assert CliRunner().invoke(cli, arguments).stdout_bytes == b""


def test_json_is_one_document(ctl: Ctl) -> None:
    ctl.canned.answers["media.find"] = page(file(), cursor=None)
    assert ctl.json("find", "fox") == {"success": True, "files": [file()]}


def test_no_name_of_a_box_commands_a_terminal(ctl: Ctl) -> None:
    ctl.canned.answers["media.find"] = page(file(home=EVIL, prompt=EVIL, model=EVIL, seed=EVIL))
    ctl.text("find")  # `Ctl.run` looks at each character


def test_nothing_found_is_said_beside_the_output(ctl: Ctl) -> None:
    ctl.canned.answers["media.find"] = page()
    result = ctl.run("find", "unicorn")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "nothing found\n")


def test_pages_are_asked_for_until_there_are_enough(ctl: Ctl) -> None:
    ctl.canned.answers["media.find"] = [page(*[file()] * 1_000, cursor="1"), page(*[file()] * 200)]
    assert len(ctl.json("find", "--limit", "0")["files"]) == 1_200
    assert len(ctl.json("find", "--limit", "1000")["files"]) == 1_000
    assert [given["limit"] for _, given in ctl.canned.asked] == [1_000, 1_000, 1_000]
    ctl.json("find", "--limit", "1100")
    assert [given["limit"] for _, given in ctl.canned.asked[3:]] == [1_000, 100]


def test_on_a_narrow_terminal_the_path_has_a_row_of_its_own() -> None:
    one = file(prompt="a red fox " * 20)
    first, second = [each.text for each in listed([one], 80, is_terminal=True)]
    assert len(first) <= 80 and "a red" in first
    assert second == f"  {one['home']}"
    assert len(listed([one], 80)) == 1, "into a pipe one row is one file"
