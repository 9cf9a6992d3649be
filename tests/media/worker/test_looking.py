"""Each part of what is known of a file is found for itself; what fails costs its own."""

from __future__ import annotations

import pytest
from PIL import Image

from forged.media.base import Found, Wanted
from forged.media.worker.looking import MOST_SWARM_BYTES
from forged.model.media import MediaKind
from tests.media.contract import Open
from tests.media.pictures.drawing import drawn, saved
from tests.media.worker.standin import look

ALL = Wanted(thumbnail=True, likeness=True)


def prompt(found: Found) -> str | None:
    return found.info.generation.prompt if found.info.generation is not None else None


def test_all_of_it(fresh: Open) -> None:
    found = look(fresh("a.png", saved(drawn(1), "PNG") + b"prompt=a cat;"[:0]), (), ALL)
    assert found.info.problems == () and found.thumbnail and found.info.likeness.dhash and found.info.likeness.pixels_sha256
    assert found.info.kind is MediaKind.IMAGE and found.info.format == "png"


def test_a_picture_that_cannot_be_read_does_not_cost_the_prompt(fresh: Open) -> None:
    found = look(fresh("a.png", b"\x89PNG prompt=a cat;"), (), ALL)
    assert prompt(found) == "a cat" and found.thumbnail is None
    assert found.info.problems == ("picture: it is no picture that can be read",)


def test_a_prompt_that_cannot_be_read_does_not_cost_the_picture(fresh: Open) -> None:
    companion = fresh("a.swarm.json", b"broken")
    found = look(fresh("a.png", saved(drawn(1), "PNG")), [companion], ALL)
    assert found.thumbnail and found.info.generation is None
    assert found.info.problems == ("metadata: it needs more memory than a worker may have",)
    assert found.info.raw[0].place == "swarm.json"


def test_a_mistake_of_ours_says_where_it_is(fresh: Open) -> None:
    found = look(fresh("a.png", b"broken"), (), ALL)
    (problem,) = found.info.problems
    assert problem.startswith("metadata: LookupError at standin.py:") and problem.endswith("a mistake of ours with two lines")
    assert found.info.kind is MediaKind.OTHER


def test_companions_say_more_and_where_it_is_from(fresh: Open) -> None:
    film = fresh("a.mp4", b"\0\0\0\x20ftypisom")
    first = fresh("a.png", b"\x89PNG prompt=a cat;")
    swarm = fresh("a.swarm.json", b'\xef\xbb\xbf{"sui_image_params": {}} \xff')
    found = look(film, [first, swarm], Wanted())
    assert [(block.place, block.text) for block in found.info.raw] == [
        ("companion/a.png/toy/prompt", "a cat"),
        ("swarm.json", '{"sui_image_params": {}} \ufffd'),
    ]
    assert found.info.generation is not None and found.info.generation.origins == {"prompt": "companion/a.png/toy/prompt"}
    assert look(film, [first, swarm], Wanted(metadata=False)).info.raw == ()


def test_companions_that_cannot_be_read_cost_themselves(fresh: Open) -> None:
    swarm = fresh("a.swarm.json", bytes(MOST_SWARM_BYTES + 1))
    found = look(fresh("a.mp4", b"prompt=a dog;"), [swarm, fresh("b.png", b"broken")], Wanted())
    assert prompt(found) == "a dog" and [problem.split(":")[0] for problem in found.info.problems] == ["a.swarm.json", "b.png"]


@pytest.mark.parametrize("wanted", [Wanted(), ALL])
def test_a_text_in_the_pixels_is_read_where_they_are_decoded_anyway(fresh: Open, wanted: Wanted) -> None:
    image = Image.new("RGBA", (8, 8), (1, 2, 3, 254))
    found = look(fresh("a.png", saved(image, "PNG")), (), wanted)
    assert [block.place for block in found.info.raw] == (["png/stealth"] if wanted.thumbnail else [])
    assert prompt(found) == ("hidden" if wanted.thumbnail else None)
