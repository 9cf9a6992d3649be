"""What is wanted of a picture or film: a thumbnail, a likeness, a text hidden in its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from forged.media.base import Opened, Wanted
from forged.media.pictures import likeness, still
from forged.media.pictures.words import PictureError
from forged.model.media import Likeness, MediaInfo, MediaKind

Stealth = Callable[[int, int, bytes], str | None]
"""Width, height and RGBA pixels: the text hidden in them."""

MOST_STEALTH_PIXELS = 1 << 24
"""4096 by 4096: all pixels are needed at once for it. NovelAI's pictures have one to three million."""

NO_PICTURE = ("svg", "")
"""Formats of MediaKind.IMAGE that have no pixels, or that are none of ours."""

BROKEN = (OSError, SyntaxError, ValueError, EOFError, RuntimeError)
"""What Pillow says of broken files; the last is libavif's (`AvifImagePlugin`)."""


@dataclass(slots=True)
class Seen:
    """What was made of it."""

    thumbnail: bytes | None = None
    likeness: Likeness = field(default_factory=Likeness)
    texts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def seen(file: Opened, info: MediaInfo, wanted: Wanted, stealth: Stealth) -> Seen:
    """Of what has no picture: nothing, and no problem. Raises PictureError, and whatever Pillow raises."""
    if info.kind is MediaKind.VIDEO:
        from forged.media.pictures import film  # 30 MB of libraries

        return _of_small(film.frame(file, info.format), wanted)
    if info.kind is not MediaKind.IMAGE or info.format in NO_PICTURE:
        return Seen()
    still.check_size(info.width or 0, info.height or 0)
    try:
        with still.opened(file) as image:
            return _of(image, wanted, stealth)
    except PictureError:
        raise
    except BROKEN as e:
        return _of_broken(file, wanted, e)


def _of(image: Image.Image, wanted: Wanted, stealth: Stealth) -> Seen:
    pixels, texts = None, []
    if wanted.likeness and not getattr(image, "is_animated", False):  # of a moving one the first frame says too little
        image.load()
        pixels = likeness.pixels_sha256(image)
    if image.mode == "RGBA" and image.width * image.height <= MOST_STEALTH_PIXELS:
        text = stealth(image.width, image.height, image.tobytes())
        texts = [text] if text else []
    found = _of_small(still.shrunk(image), wanted)
    found.likeness = Likeness(found.likeness.dhash, pixels)
    found.texts = texts
    return found


def _of_small(small: Image.Image, wanted: Wanted) -> Seen:
    thumbnail = still.webp(small) if wanted.thumbnail else None
    return Seen(thumbnail, Likeness(likeness.dhash(small)) if wanted.likeness else Likeness())


def _of_broken(file: Opened, wanted: Wanted, why: Exception) -> Seen:
    """Half a picture says more than none; what it is like is not said."""
    thumbnail = None
    if wanted.thumbnail:
        try:
            with still.opened(file, lenient=True) as image:
                thumbnail = still.webp(still.shrunk(image))
        except (PictureError, *BROKEN):
            pass
    rest = "; the thumbnail shows what could be read" if thumbnail else ""
    return Seen(thumbnail, problems=[f"picture: {str(why)[:200]}{rest}"])
