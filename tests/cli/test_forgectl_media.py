"""forgectl tells what is known of files' insides: prompt first, laid out for a screen, and nothing that a terminal obeys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.cli.ctl import show
from forged.model import rpc
from tests.cli.canned import AT, EVIL, Canned, daemon
from tests.cli.test_forgectl import Ctl

GENERATION: rpc.Generation = {
    "generator": "ComfyUI",
    "version": None,
    "prompt": "a smiling goldfish,\nin a bowl " + "of very clear water " * 8,
    "negative_prompt": "watermark, text",
    "seed": "18446744073709551615",
    "steps": 20,
    "cfg": 4.01,
    "sampler": "euler",
    "scheduler": "normal",
    "model": "v1-5-pruned-emaonly.ckpt",
    "model_hash": "c0d1994c73",
    "width": 512,
    "height": 768,
    "denoise": None,
    "clip_skip": None,
    "vae": None,
    "loras": [{"name": "add_detail", "weight": 0.8, "hash": None}, {"name": "bare", "weight": None, "hash": None}],
    "samplings": [
        {"id": "3", "seed": "18446744073709551615", "steps": 20, "cfg": 4.01, "sampler": "euler", "scheduler": "normal"}
        | {"denoise": 1.0, "model": None},
        {
            "id": "9",
            "seed": "7",
            "steps": 12,
            "cfg": None,
            "sampler": "dpmpp_2m",
            "scheduler": None,
            "denoise": 0.5,
            "model": "up.ckpt",
        },
    ],
    "prompts": [],
    "settings": [{"name": "Hires upscale", "value": "2"}, {"name": EVIL, "value": EVIL}],
    "origins": {"prompt": "png/tEXt/prompt"},
    "graph": "png/tEXt/prompt",
    "workflow": "png/tEXt/workflow",
}

FILE: rpc.ManifestFile = {
    "path": "output/a.png",
    "home": "output/a.png",
    "size": 1_200_000,
    "mtime": AT,
    "sha256": "ab" * 32,
    "landed_at": AT,
    "state": "removed",
    "incomplete": False,
    "tombstone_at": None,
}


def shown(generation: rpc.Generation | None = GENERATION) -> rpc.MediaShown:
    return {
        "success": True,
        "target": "box",
        "file": FILE,
        "home": "/srv/media/box/output/a.png",
        "waiting": False,
        "examined_at": AT,
        "media": {
            "kind": "image",
            "format": "png",
            "width": 1024,
            "height": 1536,
            "duration_s": None,
            "fps": None,
            "frames": 1,
            "generation": generation,
            "raw": [{"place": "png/tEXt/prompt", "chars": 8000}, {"place": "png/tEXt/workflow", "chars": 90_000}],
            "dhash": None,
            "pixels_sha256": None,
            "problems": ["a text says more than 16 MB"],
        },
        "sidecar": "/srv/media/box/output/a.png.xmp",
        "thumbnail": None,
        "copies": [{"path": "output/b.png", "target": "box", "home": "/srv/media/box/output/b.png"}],
        "alike": [{"path": "output/c.png", "target": "box", "home": "/srv/media/box/output/c.png", "bits": 2}],
    }


@pytest.fixture
def ctl(tmp_path: Path) -> Iterator[Ctl]:
    canned = Canned()
    with daemon(tmp_path / "s", canned):
        yield Ctl(tmp_path / "s", canned)


def test_the_prompt_comes_first_and_everything_else_below_it(ctl: Ctl) -> None:
    ctl.canned.answers["media.show"] = dict(shown())
    lines = ctl.text("show", "output/a.png").splitlines()
    assert lines[0] == "a smiling goldfish,"
    text = "\n".join(lines)
    for part in (
        "not       watermark, text",
        "seed      18446744073709551615   20 steps   cfg 4.01   euler, normal",
        "model     v1-5-pruned-emaonly.ckpt (c0d1994c73)",
        "loras     add_detail 0.8, bare",
        "pass 2    7   12 steps   dpmpp_2m   denoise 0.5   up.ckpt",
        "made by   ComfyUI, asked for 512 x 768, with its workflow",
        "image     png, 1024 x 1536",
        "home      /srv/media/box/output/a.png",
        "source    box: output/a.png (removed by cleanup)",
        "sidecar   /srv/media/box/output/a.png.xmp",
        "equal to  /srv/media/box/output/b.png",
        "looks as  /srv/media/box/output/c.png (2 of 64 bits differ)",
        "texts     png/tEXt/prompt (8,000), png/tEXt/workflow (90,000); --raw shows them",
        "✘ a text says more than 16 MB",
    ):
        assert part in text
    assert "preview" not in text


def test_no_line_is_wider_than_the_screen(ctl: Ctl) -> None:
    made = show.made(GENERATION, 60)
    assert max(len(one.text) for one in made) <= 60


def test_a_program_gets_the_whole_answer(ctl: Ctl) -> None:
    ctl.canned.answers["media.show"] = dict(shown())
    assert ctl.json("show", "output/a.png") == json.loads(json.dumps(shown()))


@pytest.mark.parametrize(
    ("prompt", "prompts", "first"),
    [
        ("", [], "an empty prompt"),
        (None, [], "its prompt is not in the file"),
        (None, ["sky", "sea"], "+ sky"),
    ],
)
def test_a_prompt_that_is_none_is_said(ctl: Ctl, prompt: str | None, prompts: list[str], first: str) -> None:
    generation: rpc.Generation = {**GENERATION, "prompt": prompt, "prompts": prompts}  # type: ignore[typeddict-item]
    ctl.canned.answers["media.show"] = dict(shown(generation))
    assert ctl.text("show", "output/a.png").splitlines()[0] == first


def test_what_was_not_looked_into_is_said(ctl: Ctl) -> None:
    ctl.canned.answers["media.show"] = {**shown(), "media": None, "examined_at": None, "waiting": True}
    assert ctl.text("show", "output/a.png").splitlines()[0] == "inside    it waits to be looked into"


def test_a_file_that_lies_here_is_asked_for_by_its_whole_path(ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctl.canned.answers["media.show"] = dict(shown())
    (tmp_path / "here.png").touch()
    monkeypatch.chdir(tmp_path)
    for given, asked in (("here.png", str(tmp_path / "here.png")), ("elsewhere.png", "elsewhere.png")):
        ctl.run("show", given)
        assert ctl.canned.asked[-1] == ("media.show", {"path": asked})


def test_raw_texts_are_shown_whole(ctl: Ctl) -> None:
    answer = shown()
    assert answer["media"] is not None
    answer["media"]["raw"] = [{"place": "png/tEXt/prompt", "chars": 12, "text": f'{{"1": "{EVIL}"}}'}]
    ctl.canned.answers["media.show"] = dict(answer)
    told = ctl.text("show", "output/a.png", "--raw")
    assert "png/tEXt/prompt (12 characters)" in told
    assert '{"1": "' in told


def test_duplicates_are_listed_by_groups_with_what_they_cost(ctl: Ctl) -> None:
    def file(name: str, shares: bool) -> rpc.DuplicateFile:
        return {"path": name, "target": "box", "home": f"/srv/{name}", "size": 1_000_000, "landed_at": AT, "shares": shares}

    groups = [{"sha256": "ab" * 32, "files": [file("a.png", False), file("b.png", False), file("c.png", True)]}]
    ctl.canned.answers["media.duplicates"] = {"success": True, "groups": groups, "next_cursor": None}
    assert ctl.text("duplicates").splitlines() == [
        "/srv/a.png (1.0 MB)",
        "  = /srv/b.png (1.0 MB)",
        "  = /srv/c.png (1.0 MB, shares its bytes)",
        "1 group, 3 files; 1.0 MB would be free without the copies",
    ]
    assert ctl.json("duplicates")["groups"] == groups


def test_no_duplicates_are_said(ctl: Ctl) -> None:
    ctl.canned.answers["media.duplicates"] = {"success": True, "groups": [], "next_cursor": None}
    assert ctl.text("duplicates") == "no two files are equal\n"


def test_a_rerun_says_what_waits_now(ctl: Ctl) -> None:
    ctl.canned.answers["media.rerun"] = {"success": True, "message": "7 files wait to be looked into", "files": 7}
    assert ctl.text("media", "rerun", "box") == "7 files wait to be looked into\n"
    assert ctl.canned.asked[-1] == ("media.rerun", {"target": "box"})
