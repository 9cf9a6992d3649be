"""The tour is told rightly: what the box made, what is home, what was left out and why."""

import hashlib
import io
import random
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from forged.config.load import load
from forged.demo import showing
from forged.demo.ending import Again, Comparison, Ending, compared, told, typed
from forged.demo.grounds import AGE, FolderNotEmpty, Grounds, grounds
from forged.demo.producer import COMFYUI_OUTPUT, FORGE_OUTPUTS, Made
from forged.demo.recipes import invented
from forged.demo.screen import screen, sparkline
from forged.demo.server import Served, write_private
from forged.demo.snippets import snippet
from forged.demo.story import RECENT, SPARKS, Key, Phase, Story, key_of
from forged.demo.tour import until_old_s
from forged.demo.writers import a1111_picture, comfyui_film, comfyui_picture
from forged.kit.clock import HandClock
from forged.kit.units import parse_duration
from forged.model import rpc
from forged.model.settings import Config

PICTURE = f"{FORGE_OUTPUTS}/txt2img-images/2026-01-01/00000-1.png"


@pytest.fixture
def place(tmp_path: Path) -> Grounds:
    made = Grounds(tmp_path / "tour")
    made.furnish()
    return made


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def story(place: Grounds, clock: HandClock) -> Story:
    return Story(clock, place.places, place.home, clock.monotonic_s(), 15)


def event(name: str, target: str = "forge", at_s: float = 0.0) -> rpc.Event:
    """What the daemon says of a file that landed."""
    at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    body: dict[str, object] = {"path": name, "size": 1000}
    return {"id": 1, "kind": "file_synced", "target": target, "at": at, "key": f"{target}/{name}", "body": body}


def made(path: str, size_bytes: int = 1000, whole: bool = True, closed_s: float = 0.0, sha256: str = "") -> Made:
    return Made(path, size_bytes, round(closed_s * 1e9), sha256, whole)


def picture(number: int, closed_s: float = 0.0) -> Made:
    return made(f"{FORGE_OUTPUTS}/{number}.png", closed_s=closed_s)


def target(name: str, **more: object) -> rpc.Target:
    """How a target stands: well, unless said otherwise."""
    row = {"name": name, "watch": True, "backlog_files": 0, "problems": [], **more}
    return cast("rpc.Target", row)


def cleanup(files: int, **kept: int) -> rpc.Cleanup:
    answer = {"success": True, "dry_run": False, "files_deleted": files, "space_freed_bytes": 1000 * files, "kept_counts": kept}
    return cast("rpc.Cleanup", answer)


def drawn(story: Story, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(screen(story, lambda path: f"prompt of {path.name}"))
    return console.export_text()


def test_what_the_box_tells_is_counted_for_the_program_that_made_it(story: Story) -> None:
    story.tell(made(PICTURE, 10))
    story.tell(made(f"{COMFYUI_OUTPUT}/ComfyUI_00001_.png", 20))
    story.tell(made(f"{COMFYUI_OUTPUT}/ComfyUI_00002_.png", 30, whole=False))
    assert {target: (count.files, count.size_bytes) for target, count in story.made.items()} == {
        "forge": (1, 10),
        "comfyui": (1, 20),
    }
    assert story.cut is not None and story.cut.size_bytes == 30
    assert set(story.ledger) == {
        Key("forge", "txt2img-images/2026-01-01/00000-1.png"),
        Key("comfyui", "ComfyUI_00001_.png"),
    }


def test_arrivals_are_counted_and_the_latest_are_remembered_by_name(story: Story) -> None:
    for number in range(RECENT + 3):
        story.hear(event(f"{number}.png"))
    assert story.total_home.files == RECENT + 3
    assert [arrival.path.name for arrival in story.recent] == [f"{n}.png" for n in range(RECENT + 2, 2, -1)]
    assert story.recent[0].path == story.dest / "forge" / f"{RECENT + 2}.png"


@pytest.mark.parametrize("box_first", [True, False])
def test_latency_counts_from_close_to_the_final_name_whoever_tells_first(story: Story, box_first: bool) -> None:
    for number, took_s in enumerate((0.5, 0.02, 0.03)):
        box, daemon = partial(story.tell, picture(number, 100)), partial(story.hear, event(f"{number}.png", at_s=100 + took_s))
        for half in (box, daemon) if box_first else (daemon, box):
            half()
    assert story.median_s == pytest.approx(0.03)
    assert story.worst_s == pytest.approx(0.5)
    assert story.all_home.is_set()


def test_all_is_home_when_the_daemon_has_told_of_every_file_of_the_ledger(story: Story) -> None:
    story.tell(picture(1))
    story.tell(picture(2))
    story.hear(event("1.png"))
    assert not story.all_home.is_set()
    story.hear(event("2.png"))
    assert story.all_home.is_set()
    story.tell(picture(3))
    assert not story.all_home.is_set()


def test_other_events_are_no_arrivals(story: Story) -> None:
    story.hear({**event("1.png"), "kind": "sync_complete"})
    assert story.total_home.files == 0


def test_the_box_begins_when_all_targets_are_watched(story: Story) -> None:
    story.stand([target("forge"), target("comfyui", watch=False)])
    story.stand([])
    assert not story.watched.is_set()
    story.stand([target("forge"), target("comfyui")])
    assert story.watched.is_set()


def test_cleanup_is_waited_for_until_the_last_file_is_old_enough(story: Story, clock: HandClock) -> None:
    now_s = clock.now_ns() / 1e9
    story.hear(event("1.png", at_s=now_s - 0.5))
    assert parse_duration(AGE) - 0.5 <= until_old_s(story) <= parse_duration(AGE)
    clock.advance(60)
    assert until_old_s(story) == 0


def test_what_cleanup_removed_is_no_longer_on_the_box(story: Story) -> None:
    for number in range(5):
        story.tell(picture(number))
    story.tell(made(f"{COMFYUI_OUTPUT}/ComfyUI_00002_.png", whole=False))
    story.cleaned("forge", cleanup(4, newest_of_series=1))
    story.cleaned("comfyui", cleanup(0))
    assert (story.on_the_box("forge"), story.on_the_box("comfyui")) == (1, 1)
    assert (story.removed.files, story.removed.size_bytes) == (4, 4000)


def test_the_seconds_of_the_sparkline_pass(story: Story, clock: HandClock) -> None:
    story.hear(event("a.png"))
    story.hear(event("b.png"))
    clock.advance(2)
    story.hear(event("c.png"))
    assert list(story.per_second)[-3:] == [2, 0, 1]
    clock.advance(10 * SPARKS)
    story.turn_second()
    assert set(story.per_second) == {0}


def test_a_sparkline_is_as_high_as_its_highest_second() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("cleaned", [False, True])
def test_the_screen_fits_and_shows_what_is_home(story: Story, width: int, cleaned: bool) -> None:
    story.begin_making()
    for number in range(40):
        story.tell(picture(number))
        story.hear(event(f"{number}.png", at_s=0.024))
    story.stand([target("forge"), target("comfyui", backlog_files=2)])
    if cleaned:
        story.cleaned("forge", cleanup(30, young=9, newest_of_series=1))
        story.cleaned("comfyui", cleanup(7, preserved=1))
    text = drawn(story, width)
    assert len(text.splitlines()) <= 24
    assert all(f"{phase.value} …" in drawn(replace(story, phase=phase), width) for phase in Phase if phase is not Phase.OVER)
    assert max(map(len, text.splitlines())) <= width
    assert "40 of  40 files home" in text and "home 24 ms after close" in text
    assert "2 files are still being written" in text
    if cleaned:
        assert "forgectl cleanup forge" in text and "30 removed at the box" in text
        assert "10 stay: 9 younger than 2s, 1 newest of a numbered series" in text
        assert "10 on the box" in text
    else:
        assert "39.png" in text and "prompt of" in text


def test_trouble_is_said_until_it_is_over(story: Story) -> None:
    lost = {"kind": "source_lost", "message": "the line is gone", "hint": "look at the plug", "since": ""}
    story.stand([target("forge", problems=[lost])])
    assert "the line is gone look at the plug" in drawn(story)
    story.stand([target("forge")])
    assert "the line is gone" not in drawn(story)
    assert "daemon: 1 of 1 watched" in drawn(story)


def test_the_last_job_is_told(story: Story) -> None:
    result: rpc.JobResult = {"success": True, "files_transferred": 3, "bytes_transferred": 9, "duration": 0.04, "errors": []}
    job: rpc.Job = {
        "id": "",
        "sync_id": "",
        "target": "forge",
        "status": "complete",
        "start_time": "",
        "end_time": "",
        "result": result,
    }
    story.stand([target("forge")])
    story.synced(job)
    assert "1 job done; last: forge, 3 files in 40 ms" in drawn(story)
    result["files_transferred"] = 0  # the watch had brought them all
    story.synced(job)
    assert "2 jobs done; last: forge, nothing new in 40 ms" in drawn(story)


def test_plain_lines_say_the_same(story: Story, clock: HandClock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = showing.Lines(story)
    lines.tell()
    story.begin_making()
    lines.tell()
    clock.advance(6)
    story.tell(made(PICTURE, closed_s=10))
    story.hear(event("txt2img-images/2026-01-01/00000-1.png", at_s=10.02))
    lines.tell()
    lines.tell()
    story.phase = Phase.CLEANING
    story.cleaned("forge", cleanup(1, preserved=1))
    lines.tell()
    assert capsys.readouterr().out.splitlines() == [
        "starting the box and the daemon …",
        "the box makes pictures and films; each comes home once it is closed …",
        "    0 s: 0 files made, 0 home (0 B)",
        "    6 s: 1 files made, 1 home (1.0 kB), 20 ms after close (median)",
        "freeing the rented disk: only what is proven safe at home goes …",
        "  forgectl cleanup forge: 1 removed at the box, 1.0 kB freed; 1 stays: 1 preserved (*.important)",
    ]


def test_snippets_come_from_the_files_at_home(tmp_path: Path) -> None:
    recipe = invented(random.Random(3))
    *_, film = comfyui_film(tmp_path, 1, recipe)
    assert film is not None
    files = [a1111_picture(tmp_path, 0, recipe), comfyui_picture(tmp_path, 1, recipe), film]
    assert [snippet(file) for file in files] == [recipe.prompt] * 3
    assert snippet(tmp_path / "taken away.png") == ""


def test_home_is_compared_with_the_ledger_byte_by_byte_whatever_is_left_on_the_box(place: Grounds) -> None:
    forge = place.places[0]
    forge.home.mkdir()
    ledger = {}
    for name, box, home in (("same", b"1", b"1"), ("other", b"1", b"2"), ("missing", b"1", None), ("extra", None, b"1")):
        if box is not None:
            one = made(f"{FORGE_OUTPUTS}/{name}", sha256=hashlib.sha256(box).hexdigest())
            ledger[key_of(one)] = one
        if home is not None:
            (forge.home / name).write_bytes(home)
    one_of_comfyui = made(f"{COMFYUI_OUTPUT}/same")
    ledger[key_of(one_of_comfyui)] = one_of_comfyui
    result = compared(forge, ledger)
    assert (result.same, result.different, result.missing, result.extra) == tuple(
        (Path(n),) for n in ("same", "other", "missing", "extra")
    )


def ending(story: Story, place: Grounds, comparison: Comparison | None = None) -> Ending:
    return Ending(story, place, (comparison,) if comparison else (), Again(0, 0.12))


def test_a_cut_file_is_explained_and_counts_as_well_done(story: Story, place: Grounds) -> None:
    story.tell(made(f"{COMFYUI_OUTPUT}/ComfyUI_00002_.png", 30, whole=False))
    end = ending(story, place, compared(place.places[1], story.ledger))
    assert end.success
    said = told(end)
    assert ("left there", "ComfyUI_00002_.png") in said
    assert ("again", "one more sync moved 0 files and took 120 ms") in said


def test_the_ending_says_what_cleanup_did_and_why_the_rest_stays(story: Story, place: Grounds) -> None:
    assert ("cleanup", "nothing at the box was old enough to go") in told(ending(story, place))
    story.cleaned("forge", cleanup(4, newest_of_series=1, preserved=1))
    story.cleaned("comfyui", cleanup(2, newest_of_series=2))
    said = told(ending(story, place))
    assert ("cleanup", "6 of them removed at the box, 6.0 kB freed; each is at home") in said
    assert ("", "4 stay: 3 newest of a numbered series, 1 preserved (*.important)") in said


@pytest.mark.parametrize("field", ["missing", "different", "extra"])
def test_any_other_difference_is_a_failure_and_is_named(story: Story, place: Grounds, field: str) -> None:
    lists: dict[str, tuple[Path, ...]] = {"same": (), "missing": (), "different": (), "extra": (), field: (Path("x.png"),)}
    end = ending(story, place, Comparison(place.places[0], **lists))
    assert not end.success
    assert any("x.png" in text for label, text in told(end) if label == "wrong")


def served(place: Grounds) -> Served:
    key = place.keys / "id_ed25519"
    write_private(key, b"a key")
    return Served(2222, "demo", key, "SHA256:" + "A" * 43)


def configured(place: Grounds) -> Config:
    """Written, and read as the daemon reads it."""
    place.configure(served(place), place.root / "forged.sock")
    return load(place.config_file, {"HOME": str(place.root)}, is_root=False)


def test_the_written_configuration_is_a_valid_one(place: Grounds) -> None:
    config = configured(place)
    assert [target.name for target in config.targets] == ["forge", "comfyui"]
    assert [target.source.path for target in config.targets] == [str(one.there) for one in place.places]
    assert all(target.timing.watch and target.cleanup is not None for target in config.targets)
    assert config.daemon.socket == place.root / "forged.sock"


def test_strange_letters_in_the_folder_s_name_do_not_break_the_configuration(tmp_path: Path) -> None:
    place = Grounds(tmp_path / 'a "b" $HOME %20 ü')
    place.furnish()
    config = configured(place)
    assert config.targets[0].source.path == str(place.places[0].there)
    assert config.targets[0].home.dest == place.home


def test_the_socket_lies_in_the_folder_or_where_its_path_is_too_long_elsewhere(tmp_path: Path) -> None:
    with Grounds(Path("/tmp/tour")).socket() as socket:
        assert socket == Path("/tmp/tour/forged.sock")
    with Grounds(tmp_path / ("long" * 30)).socket() as socket:
        assert len(str(socket)) <= 107 and socket.parent.is_dir()
    assert not socket.parent.exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(FolderNotEmpty):
        grounds(tmp_path)


def test_empty_grounds_are_removed_and_others_stay(place: Grounds) -> None:
    (place.home / "a.png").touch()
    assert place.leave() and place.root.exists()
    (place.home / "a.png").unlink()
    assert not place.leave() and not place.root.exists()


def test_the_next_step_can_be_typed_as_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `make demo` in a fresh clone forged is in .venv only."""
    program = tmp_path / ".venv" / "bin" / "forged"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program.with_name("python")))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert typed() == ".venv/bin/forged"
    monkeypatch.chdir("/")
    assert typed() == str(program).removeprefix("/")
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed() == "forged"
