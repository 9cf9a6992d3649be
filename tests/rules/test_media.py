"""Which files are looked into, and what is then done for them."""

from __future__ import annotations

import itertools

import pytest

from forged.model.manifest import ManifestName
from forged.model.media import Copy, Generation, MediaInfo, MediaKind
from forged.model.paths import home_path, source_path
from forged.model.target import DuplicatesMode, MediaPolicy, TargetType
from forged.rules import media
from forged.rules.names import NamesMode, VersionNames, to_home

ON = MediaPolicy()
OFF = MediaPolicy(metadata=False, xmp=False)


@pytest.mark.parametrize(
    "name",
    ["a.txt", "a.swarm.json", "log.html", "log.csv", "a.png.tmp", "A.PNG.XMP", "a.png.xmp", "a.safetensors", "a.metadata.js"],
)
def test_what_is_no_media_is_not_looked_into(name: str) -> None:
    assert not media.is_examined(ON, source_path(b"sub/" + name.encode()), 5)


@pytest.mark.parametrize("name", ["a.png", "a.MP4", "no suffix", "a.glb", "a.jxl", ".png", "a.txt.png"])
def test_all_else_is_told_by_its_bytes(name: str) -> None:
    assert media.is_examined(ON, source_path(name.encode()), 5)
    assert not media.is_examined(ON, source_path(name.encode()), 0)
    assert not media.is_examined(OFF, source_path(name.encode()), 5)


def test_any_wish_turns_it_on() -> None:
    for wish in ({"metadata": True}, {"xmp": True}, {"thumbnails": True}, {"phash": True}, {"duplicates": DuplicatesMode.REPORT}):
        policy = MediaPolicy(**({"metadata": False, "xmp": False} | wish))  # type: ignore[arg-type]
        assert media.is_on(policy)
    assert not media.is_on(OFF)


def test_a_sidecar_needs_metadata() -> None:
    assert media.wishes(MediaPolicy(metadata=False, xmp=True)).metadata
    assert media.wishes(MediaPolicy(metadata=False, xmp=False, thumbnails=True)) == media.Wishes(False, True, False)


def test_a_film_is_told_by_its_first_frame_and_all_by_swarms_text() -> None:
    told = {bytes(path) for path in media.told_by(TargetType.COMFYUI, source_path(b"v/X_1-audio.mp4"))}
    assert told == {b"v/X_1.png"}
    assert set(media.told_by(TargetType.SWARMUI, source_path(b"a.mp4"))) == {b"a.swarm.json", b"a.png"}
    assert set(media.told_by(TargetType.SWARMUI, source_path(b"a.jpg"))) == {b"a.swarm.json"}
    assert media.told_by(TargetType.FOOOCUS, source_path(b"a.mp4")) == ()


def test_a_text_that_comes_late_tells_of_what_lies_beside_it() -> None:
    of = media.tells_of(TargetType.SWARMUI, source_path(b"a.swarm.json"))
    assert {b"a.mp4", b"a.png"} <= set(of)
    assert not [path for path in of if path.endswith((b".json", b".txt", b".js"))]
    assert media.tells_of(TargetType.SWARMUI, source_path(b"a.png")) == ()


def test_who_gets_a_sidecar() -> None:
    made = Generation("ComfyUI")
    assert media.wants_sidecar(ON, MediaInfo(MediaKind.IMAGE, "png"))
    assert not media.wants_sidecar(ON, MediaInfo(MediaKind.OTHER, ""))
    assert media.wants_sidecar(ON, MediaInfo(MediaKind.OTHER, "svg", generation=made))
    assert not media.wants_sidecar(MediaPolicy(xmp=False), MediaInfo(MediaKind.IMAGE, "png", generation=made))


def test_what_grows_or_is_half_there_shares_nothing() -> None:
    policy = MediaPolicy(duplicates=DuplicatesMode.REFLINK)
    assert [media.wants_link(policy, *what) for what in itertools.product((False, True), repeat=2)] == [True, False, False, False]
    assert not media.wants_link(MediaPolicy(duplicates=DuplicatesMode.REPORT), False, False)


def test_the_first_copy_is_the_oldest_then_the_first_by_name() -> None:
    copies = [
        Copy(ManifestName("m"), source_path(home), home_path(home), bytes(32), 5, at_ns)
        for home, at_ns in ((b"a", 2), (b"c", 1), (b"b", 1))
    ]
    for order in itertools.permutations(copies):
        found = media.first(order)
        assert found is not None
        assert found.home == b"b"
    assert media.first([]) is None


@pytest.mark.parametrize("mode", NamesMode)
@pytest.mark.parametrize(
    "name",
    [
        b"x.png.xmp",
        b"x.png.XMP",
        b"x.png.xMp",
        b".xmp",
        b"x\xff.xmp",
        b"x\n.xmp",
        b"x.png.xmp.",
        b"x.png.xmp ",
        b"x.png.xmp. .",
        b"%41.xmp",
    ],
)
def test_nothing_of_a_source_has_a_sidecars_name(name: bytes, mode: NamesMode) -> None:
    """Also not on a disk that drops dots and blanks at the end of names (FAT, SMB), nor as a version of another content."""
    landed = to_home(name, mode)
    for home in (landed, *VersionNames(home_path(landed), b"\xab" * 32)):
        told = home.rstrip(b". ").lower()
        assert not told.endswith(b".xmp") or told.endswith(b"~source.xmp")
