"""A frame of a film that shows what it is of."""

from __future__ import annotations

import io

import av
import pytest
from PIL import Image

from forged.media.base import Wanted
from forged.media.pictures import film, picture
from forged.media.pictures.words import PictureError
from forged.model.media import MediaInfo, MediaKind
from tests.media.pictures.drawing import drawn, file_of


def filmed(frames: list[Image.Image], form: str = "mp4", codec: str = "libx264", **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=8, options={"g": "8", **options})
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return file.getvalue()


BLACK = Image.new("RGB", (320, 240))


@pytest.mark.parametrize(("form", "codec"), [("mp4", "libx264"), ("webm", "libvpx-vp9"), ("matroska", "mpeg4"), ("mov", "mpeg4")])
def test_a_film_shows_a_frame_that_is_not_black(form: str, codec: str) -> None:
    data = filmed([BLACK] * 4 + [drawn(1, (320, 240))] * 60, form, codec)
    info = MediaInfo(MediaKind.VIDEO, "mkv" if form == "matroska" else form)
    with file_of(data) as file:
        found = picture.seen(file, info, Wanted(thumbnail=True, likeness=True), lambda *_: None)
    assert found.thumbnail is not None and found.likeness.dhash is not None and found.likeness.pixels_sha256 is None
    image = Image.open(io.BytesIO(found.thumbnail))
    assert image.size == (320, 240)
    wanted = drawn(1, (320, 240)).convert("L").resize((16, 12)).tobytes()
    got = image.convert("L").resize((16, 12)).tobytes()
    assert sum(abs(a - b) for a, b in zip(wanted, got, strict=True)) / len(got) < 10


def test_of_the_night_the_night_is_shown() -> None:
    with file_of(filmed([BLACK] * 20)) as file:
        assert film.frame(file, "mp4").size == (320, 240)


def test_one_frame_is_a_film_and_a_large_one_becomes_small() -> None:
    with file_of(filmed([drawn(1, (1920, 1080))])) as file:
        assert film.frame(file, "mp4").size == (512, 288)


def test_cut_anywhere_it_is_a_frame_or_a_problem() -> None:
    for form, codec in (("mp4", "libx264"), ("webm", "libvpx-vp9")):
        whole = filmed([drawn(1, (160, 120))] * 30, form, codec)
        for part in range(20):
            with file_of(whole[: len(whole) * part // 20]) as file:
                try:
                    assert film.frame(file, form).size == (160, 120)
                except PictureError:
                    pass


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"",
        b"\0" * 5000,
    ],
)
@pytest.mark.parametrize("form", ["mp4", "webm", "avi", "m3u8", ""])
def test_a_playlist_opens_nothing(data: bytes, form: str) -> None:
    with file_of(data) as file, pytest.raises(PictureError):
        film.frame(file, form)
