"""Pictures that are told apart by eye and by hash."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageDraw, ImageFilter

from forged.media.base import Opened


def drawn(seed: int, size: tuple[int, int] = (640, 480), mode: str = "RGB") -> Image.Image:
    """Coloured discs on a slope, the same for the same seed."""
    width, height = size
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    pen = ImageDraw.Draw(image)
    for number in range(12):
        turn = seed * 7.31 + number * 2.399
        x, y = (0.5 + 0.4 * math.sin(turn)) * width, (0.5 + 0.4 * math.cos(turn * 1.7)) * height
        radius = (0.05 + 0.15 * abs(math.sin(turn * 3.1))) * min(size)
        colour = tuple(int(127 + 127 * math.sin(turn * k)) for k in (1.1, 2.3, 3.7))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image if mode == "RGB" else image.convert(mode)


def busy(seed: int, size: tuple[int, int]) -> Image.Image:
    """With the noise of a photograph, so that decoders have to work."""
    noise = Image.effect_noise(size, 24).filter(ImageFilter.GaussianBlur(0.7))
    return Image.blend(drawn(seed, size), noise.convert("RGB"), 0.3)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@contextmanager
def file_of(data: bytes, name: str = "x.png") -> Iterator[Opened]:
    """An open file that has no name anywhere."""
    fd = os.memfd_create("test")
    try:
        os.write(fd, data)
        yield Opened(name, fd, len(data))
    finally:
        os.close(fd)
