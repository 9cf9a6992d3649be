"""Pictures through Pillow: opened within limits, and made small."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from forged.kit.pread import PreadFile
from forged.media.base import Opened
from forged.media.pictures.words import PictureError

MOST_PIXELS = 1 << 26
"""67 million: 8192 by 8192, four times what upscalers commonly write. Its pixels take 268 MB."""

SIDE_PIXELS = 512
"""Of a thumbnail, the longer one."""

QUALITY, METHOD = 80, 2
"""Of WebP: method 2 takes 9 ms for 512 by 512, method 4 takes 23 ms for 4 % fewer bytes (Pillow 13, 2026-11)."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
"""Pillow has forty decoders; these are what generators write."""

OPAQUE = 250
"""From this alpha on a pixel counts as opaque: texts hidden in the alpha channel make it 254 here and there."""

MOST_PROFILE_BYTES = 4096
"""Of a colour profile that a thumbnail keeps: sRGB's has 3,144, Display P3's 548. Larger ones are of printers."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an orientation of EXIF (tag 0x0112)."""

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")


@contextmanager
def opened(file: Opened, lenient: bool = False) -> Iterator[Image.Image]:
    """The first frame, not decoded yet. `lenient` takes pictures that are cut or whose checksums are wrong.

    Raises PictureError for what Pillow does not know, and what is too large: by the header, before any pixel.
    """
    with warnings.catch_warnings(), _settings(lenient):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BufferedReader(PreadFile(file.fd, file.size_bytes), 1 << 16), formats=FORMATS) as image:
                check_size(*image.size)
                yield image
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as e:
            raise PictureError(f"it has more than {MOST_PIXELS} pixels") from e
        except UnidentifiedImageError as e:
            raise PictureError("it is no picture that can be read") from e


def check_size(width: int, height: int) -> None:
    """Raises PictureError."""
    if width * height > MOST_PIXELS:
        raise PictureError(f"{width} x {height} are more than {MOST_PIXELS} pixels")


@contextmanager
def _settings(lenient: bool) -> Iterator[None]:
    """Pillow keeps them for the whole process."""
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = MOST_PIXELS, lenient
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def shrunk(image: Image.Image) -> Image.Image:
    """RGB or RGBA, upright, at most SIDE_PIXELS a side and never larger than it was. A JPEG that is not decoded yet is decoded
    small; `image` itself may be small afterwards."""
    turn = _turn(image)
    profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None
    if not image.mode.startswith(("RGB", "L", "CMYK", "YCbCr")) or image.has_transparency_data:
        image = plain(image)
    image.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BICUBIC, reducing_gap=1.0)
    small = without_idle_alpha(plain(image))
    small = small.transpose(turn) if turn is not None else small
    small.info = {"icc_profile": profile} if profile and len(profile) <= MOST_PROFILE_BYTES else {}
    return small


def plain(image: Image.Image) -> Image.Image:
    """RGB, or RGBA where it is transparent somewhere. 16 bits a channel become 8 by leaving out the lower ones."""
    if image.mode in _SIXTEEN_BITS:
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def without_idle_alpha(image: Image.Image) -> Image.Image:
    """Of a picture that is opaque all over, the alpha says nothing."""
    if image.mode != "RGBA":
        return image
    least, _ = image.getchannel("A").getextrema()
    return image.convert("RGB") if isinstance(least, (int, float)) and least >= OPAQUE else image


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How to set it upright. EXIF that cannot be read says nothing of it."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (ValueError, TypeError, SyntaxError, OSError, KeyError):
        return None


def webp(image: Image.Image) -> bytes:
    """A thumbnail's bytes."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=METHOD, icc_profile=image.info.get("icc_profile", b""))
    return file.getvalue()
