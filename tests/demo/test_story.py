"""The tour is told rightly: what the box made, what is home, what was left out and why."""

import io
import random
from pathlib import Path

import pytest
from rich.console import Console

from forged.demo import showing
from forged.demo.ending import Again, Comparison, Ending, compared, told
from forged.demo.grounds import FolderNotEmpty, Grounds, grounds
from forged.demo.producer import COMFYUI_OUTPUT, FORGE_OUTPUTS, Made
from forged.demo.recipes import invented
from forged.demo.screen import screen, sparkline
from forged.demo.server import Served, write_private
from forged.demo.snippets import snippet
from forged.demo.story import RECENT, SPARKS, Phase, Story
from forged.demo.writers import a1111_picture, comfyui_film, comfyui_picture
from forged.kit.clock import HandClock
from forged.model.errors import SourceLost
from forged.model.files import Entry, Stat
from forged.model.observer import BytesArrived, FileLanded, Retried
from forged.model.paths import home_path, source_path
from forged.model.transfer import Landed, LandedAs

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


def landed(name: str, target: str = "forge", latency_s: float = 0.5) -> FileLanded:
    entry = Entry(source_path(name.encode()), Stat(1000, 0))
    home = home_path(f"{target}/{name}".encode())
    return FileLanded(target, Landed(entry, home, b"", LandedAs.NEW), moved_bytes=1000, latency_s=latency_s)


def drawn(story: Story, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(screen(story, lambda path: f"prompt of {path.name}"))
    return console.export_text()


def test_what_the_box_tells_is_counted_for_the_program_that_made_it(story: Story) -> None:
    story.tell(Made(PICTURE, 10))
    story.tell(Made(f"{COMFYUI_OUTPUT}/ComfyUI_00001_.png", 20))
    story.tell(Made(f"{COMFYUI_OUTPUT}/ComfyUI_00002_.png", 30, whole=False))
    assert {target: (count.files, count.size_bytes) for target, count in story.made.items()} == {
        "forge": (1, 10),
        "comfyui": (1, 20),
    }
    assert story.cut is not None and story.cut.size_bytes == 30


def test_arrivals_are_counted_and_the_latest_are_remembered_by_name(story: Story) -> None:
    for number in range(RECENT + 3):
        story.notice(landed(f"{number}.png", latency_s=number))
    assert story.total_home.files == RECENT + 3
    assert [arrival.path.name for arrival in story.recent] == [f"{n}.png" for n in range(RECENT + 2, 2, -1)]
    assert story.recent[0].path == story.dest / "forge" / f"{RECENT + 2}.png"
    assert story.median_s == 4


def test_the_seconds_of_the_sparkline_pass(story: Story, clock: HandClock) -> None:
    story.notice(landed("a.png"))
    story.notice(landed("b.png"))
    clock.advance(2)
    story.notice(landed("c.png"))
    assert list(story.per_second)[-3:] == [2, 0, 1]
    clock.advance(10 * SPARKS)
    story.turn_second()
    assert set(story.per_second) == {0}


def test_a_sparkline_is_as_high_as_its_highest_second() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_fits_and_shows_what_is_home(story: Story, width: int) -> None:
    story.phase = Phase.MAKING
    for number in range(40):
        story.tell(Made(PICTURE, 1000))
        story.notice(landed(f"{number:05}-4294967295.png"))
    story.waiting["comfyui"] = 2
    text = drawn(story, width)
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= width
    assert "40 of  40 files home" in text
    assert "00039-4294967295.png" in text and "prompt of" in text
    assert "2 files are still being written" in text


def test_a_lost_connection_is_said_until_bytes_flow_again(story: Story) -> None:
    story.notice(Retried("forge", SourceLost("the line is gone"), 1, 5.0))
    assert "the line is gone" in drawn(story)
    story.notice(BytesArrived("forge", 1))
    assert "the line is gone" not in drawn(story)


def test_plain_lines_say_the_same(story: Story, clock: HandClock) -> None:
    assert showing.standing(story) == "  0 s: 0 files made, 0 home (0 B)"
    clock.advance(6)
    story.tell(Made(PICTURE, 1000))
    story.notice(landed("a.png"))
    assert showing.standing(story) == "  6 s: 1 files made, 1 home (1.0 kB), 500 ms after the last byte (median)"


def test_snippets_come_from_the_files_at_home(tmp_path: Path) -> None:
    recipe = invented(random.Random(3))
    *_, film = comfyui_film(tmp_path, 1, recipe)
    assert film is not None
    files = [a1111_picture(tmp_path, 0, recipe), comfyui_picture(tmp_path, 1, recipe), film]
    assert [snippet(file) for file in files] == [recipe.prompt] * 3
    assert snippet(tmp_path / "taken away.png") == ""


def test_both_ends_are_compared_byte_by_byte(place: Grounds) -> None:
    forge = place.places[0]
    forge.home.mkdir()
    for name, there, home in (("same", "1", "1"), ("other", "1", "2"), ("missing", "1", None), ("extra", None, "1")):
        for folder, content in ((forge.there, there), (forge.home, home)):
            if content is not None:
                (folder / name).write_text(content)
    one = compared(forge)
    assert (one.same, one.different, one.missing, one.extra) == tuple((Path(n),) for n in ("same", "other", "missing", "extra"))


def ending(story: Story, place: Grounds, comparison: Comparison | None = None) -> Ending:
    return Ending(story, place, (comparison,) if comparison else (), Again(0, 0.12))


def test_a_cut_file_is_explained_and_counts_as_well_done(story: Story, place: Grounds) -> None:
    story.tell(Made(f"{COMFYUI_OUTPUT}/ComfyUI_00002_.png", 30, whole=False))
    missing = Comparison(place.places[1], (), (Path("ComfyUI_00002_.png"),), (), ())
    end = ending(story, place, missing)
    assert end.success
    said = told(end)
    assert ("left there", "ComfyUI_00002_.png") in said
    assert ("again", "one more sync moved 0 files and took 120 ms") in said


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


def test_the_written_configuration_is_a_valid_one(place: Grounds) -> None:
    config = place.configure(served(place))
    assert [target.name for target in config.targets] == ["forge", "comfyui"]
    assert [target.source.path for target in config.targets] == [str(one.there) for one in place.places]


def test_strange_letters_in_the_folder_s_name_do_not_break_the_configuration(tmp_path: Path) -> None:
    place = Grounds(tmp_path / 'a "b" $HOME %20 ü')
    place.furnish()
    config = place.configure(served(place))
    assert config.targets[0].source.path == str(place.places[0].there)
    assert config.targets[0].home.dest == place.home


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(FolderNotEmpty):
        grounds(tmp_path)


def test_empty_grounds_are_removed_and_others_stay(place: Grounds) -> None:
    (place.home / "a.png").touch()
    assert place.leave() and place.root.exists()
    (place.home / "a.png").unlink()
    assert not place.leave() and not place.root.exists()
