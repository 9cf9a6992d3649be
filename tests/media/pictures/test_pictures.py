"""Thumbnails and likenesses of pictures in every mode that Pillow reads."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, ImageSequence, PngImagePlugin

from forged.media.base import Wanted
from forged.media.pictures import picture
from forged.media.pictures.picture import Seen
from forged.media.pictures.words import PictureError
from forged.model.media import MediaInfo, MediaKind
from tests.media.pictures.drawing import drawn, file_of, saved

ALL = Wanted(thumbnail=True, likeness=True)
PNG = MediaInfo(MediaKind.IMAGE, "png")


def no_text(width: int, height: int, rgba: bytes) -> str | None:
    assert len(rgba) == width * height * 4
    return None


def seen(
    data: bytes, wanted: Wanted = ALL, info: MediaInfo = PNG, stealth: Callable[[int, int, bytes], str | None] = no_text
) -> Seen:
    with file_of(data) as file:
        return picture.seen(file, info, wanted, stealth)


def shown(found: Seen) -> Image.Image:
    assert found.thumbnail is not None
    image = Image.open(io.BytesIO(found.thumbnail))
    assert image.format == "WEBP" and max(image.size) <= 512
    return image


def apart(one: Seen, other: Seen) -> int:
    """Bits by which two pictures differ."""
    a, b = one.likeness.dhash, other.likeness.dhash
    assert a is not None and b is not None and len(a) == len(b) == 8
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


# --- thumbnails -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "small"),
    [((1024, 768), (512, 384)), ((300, 200), (300, 200)), ((1, 1), (1, 1)), ((4000, 1), (512, 1)), ((1, 4000), (1, 512))],
)
def test_a_thumbnail_has_at_most_512_pixels_a_side_and_is_never_enlarged(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert shown(seen(saved(drawn(1, size), "PNG"))).size == small


MODES = {
    **{mode: lambda mode=mode: saved(drawn(1, mode=mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
    "I;16": lambda: saved(drawn(1, mode="L").convert("I").point(lambda value: value * 257).convert("I;16"), "PNG"),
    "P with transparency": lambda: saved(drawn(1, mode="P"), "PNG", transparency=0),
    "RGB with transparency": lambda: saved(drawn(1), "PNG", transparency=(1, 2, 3)),
    "CMYK": lambda: saved(drawn(1, mode="CMYK"), "JPEG", quality=95),
    "TIFF 32": lambda: saved(drawn(1, mode="L").convert("I").point(lambda value: value * 257), "TIFF"),
    "GIF": lambda: saved(drawn(1), "GIF"),
    "WEBP": lambda: saved(drawn(1), "WEBP"),
    "AVIF": lambda: saved(drawn(1), "AVIF", speed=10),
    "JPEG": lambda: saved(drawn(1), "JPEG"),
    "progressive JPEG": lambda: saved(drawn(1), "JPEG", progressive=True),
    "grey JPEG": lambda: saved(drawn(1, mode="L"), "JPEG"),
    "BMP": lambda: saved(drawn(1), "BMP"),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_shows_the_same_picture(mode: str) -> None:
    found, plain, other = seen(MODES[mode]()), seen(saved(drawn(1), "PNG")), seen(saved(drawn(2), "PNG"))
    assert found.problems == [] and shown(found).size == (512, 384)
    assert apart(found, plain) <= 5 < 12 <= apart(found, other)
    grey = [Image.Image.tobytes(shown(each).convert("L").resize((16, 12))) for each in (found, plain)]
    assert sum(abs(a - b) for a, b in zip(*grey, strict=True)) / len(grey[0]) < (24 if mode == "1" else 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnails_stand_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    left_red = Image.new("RGB", (40, 20), "blue")
    left_red.paste("red", (0, 0, 10, 10))
    image = shown(seen(saved(left_red, "JPEG", exif=exif, quality=95, subsampling=0))).convert("RGB")
    assert image.size == ((40, 20) if orientation < 5 else (20, 40))
    corners = [image.getpixel((x, y)) for y in (4, image.height - 5) for x in (4, image.width - 5)]
    reds = [number for number, colour in enumerate(corners) if isinstance(colour, tuple) and colour[0] > 128]
    assert reds == [{1: 0, 2: 1, 3: 3, 4: 2, 5: 0, 6: 1, 7: 3, 8: 2}[orientation]]


def test_a_thumbnail_keeps_transparency_that_says_something() -> None:
    image = drawn(1, mode="RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    assert shown(seen(saved(image, "PNG"))).mode == "RGBA"
    image.putalpha(254)
    assert shown(seen(saved(image, "PNG"))).mode == "RGB"


def test_a_thumbnail_carries_none_of_the_files_texts() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a secret prompt")
    exif = Image.Exif()
    exif[0x010E] = "a secret prompt"
    for data in (saved(drawn(1), "PNG", pnginfo=texts, exif=exif), saved(drawn(1), "WEBP", exif=exif, xmp=b"a secret prompt")):
        thumbnail = seen(data).thumbnail
        assert thumbnail is not None and b"secret" not in thumbnail and b"EXIF" not in thumbnail


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_a_moving_picture_the_first_frame_is_shown(form: str) -> None:
    frames = [drawn(seed, (200, 150)) for seed in (1, 2, 3)]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
    assert len(list(ImageSequence.Iterator(Image.open(io.BytesIO(data))))) == 3
    found = seen(data)
    assert apart(found, seen(saved(frames[0], "PNG"))) <= 4 and found.likeness.pixels_sha256 is None


def test_nothing_is_made_that_is_not_wanted() -> None:
    data = saved(drawn(1), "PNG")
    assert seen(data, Wanted(thumbnail=True)).likeness.dhash is None
    found = seen(data, Wanted(likeness=True))
    assert found.thumbnail is None and found.likeness.pixels_sha256 is not None


def test_a_text_in_the_pixels_is_asked_for_where_there_is_an_alpha_channel() -> None:
    assert seen(saved(drawn(1, mode="RGBA"), "PNG"), stealth=lambda *_: "hidden").texts == ["hidden"]
    assert seen(saved(drawn(1), "PNG"), stealth=lambda *_: "hidden").texts == []


@pytest.mark.parametrize(
    "info", [MediaInfo(MediaKind.AUDIO, "flac"), MediaInfo(MediaKind.IMAGE, "svg"), MediaInfo(MediaKind.OTHER, "")]
)
def test_what_has_no_picture_is_no_problem(info: MediaInfo) -> None:
    assert seen(b"sound", info=info) == Seen()


# --- likeness -------------------------------------------------------------------------------------------------------------


def test_copies_differ_in_few_bits_and_other_pictures_in_many() -> None:
    first = seen(saved(drawn(1), "PNG"))
    for copy in (
        saved(drawn(1), "JPEG", quality=60),
        saved(drawn(1).resize((320, 240)), "WEBP", quality=50),
        saved(drawn(1).resize((1280, 960)), "AVIF", speed=10),
    ):
        assert apart(first, seen(copy)) <= 4
    assert min(apart(first, seen(saved(drawn(seed), "PNG"))) for seed in range(2, 12)) >= 10


def test_the_hash_of_pixels_is_that_of_the_picture_not_of_the_file() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a cat", zip=True)
    image = drawn(1)
    same = [
        saved(image, "PNG"),
        saved(image, "PNG", pnginfo=texts, compress_level=1),
        saved(image, "WEBP", lossless=True),
        saved(image, "BMP"),
        saved(image.convert("RGBA"), "PNG"),
    ]
    assert len({seen(data).likeness.pixels_sha256 for data in same}) == 1
    few = image.convert("P", palette=Image.Palette.ADAPTIVE)
    assert seen(saved(few, "PNG")).likeness.pixels_sha256 == seen(saved(few.convert("RGB"), "PNG")).likeness.pixels_sha256
    other = image.copy()
    other.putpixel((639, 479), (1, 2, 3))
    assert seen(saved(other, "PNG")).likeness.pixels_sha256 != seen(same[0]).likeness.pixels_sha256
    wide, tall = (saved(Image.new("RGB", size), "PNG") for size in ((40, 10), (10, 40)))
    assert seen(wide).likeness.pixels_sha256 != seen(tall).likeness.pixels_sha256


# --- hostile files --------------------------------------------------------------------------------------------------------


def bomb(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that says it is so large."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    made = (len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def test_too_many_pixels_are_refused_by_the_header() -> None:
    for data in (bomb(60_000, 60_000), bomb(8192, 8193), bomb(9000, 9000)):
        with pytest.raises(PictureError, match="pixels"):
            seen(data)
    with pytest.raises(PictureError, match="pixels"):
        seen(saved(drawn(1), "PNG"), info=MediaInfo(MediaKind.IMAGE, "png", 60_000, 60_000))


def test_a_text_that_inflates_without_end_does_not_cost_the_picture() -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(64 << 20))
    good = saved(drawn(1, (64, 64)), "PNG")
    at = good.index(b"IDAT") - 4
    chunk = len(text).to_bytes(4, "big") + b"zTXt" + text + zlib.crc32(b"zTXt" + text).to_bytes(4, "big")
    found = seen(good[:at] + chunk + good[at:])
    assert shown(found).size == (64, 64) and len(found.problems) == 1


def test_what_is_no_picture_says_so() -> None:
    with pytest.raises(PictureError, match="no picture"):
        seen(b"<html>not found</html>")


def test_an_avif_whose_pixels_are_broken_says_so_in_the_decoders_words() -> None:
    """Pillow's decoder raises RuntimeError for it, which is no mistake of ours."""
    whole = saved(drawn(1, (320, 240)), "AVIF")
    at = whole.index(b"mdat") + 4
    found = seen(whole[:at] + bytes(64) + whole[at + 64 :])
    assert found.thumbnail is None
    assert len(found.problems) == 1 and found.problems[0].startswith("picture: Failed to decode")


TWENTY = [number / 20 for number in range(20)]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF"])
def test_cut_anywhere_it_is_half_a_picture_or_a_problem(form: str) -> None:
    whole = saved(drawn(1, (320, 240)), form)
    for part in TWENTY:
        try:
            found = seen(whole[: int(len(whole) * part)])
        except PictureError:
            continue
        assert found.problems or part > 0.9, part
        assert found.likeness.pixels_sha256 is None or not found.problems
        if found.thumbnail:
            assert shown(found).size == (320, 240)
