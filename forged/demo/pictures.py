"""Painted pictures: cheap to make (about 20 ms and 250 KB each), no two alike, and worth looking at in the folder at home."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]

SIZE = (512, 768)
"""The portrait size that Stable Diffusion users ask for most; 768 rows keep the PNG at a realistic few hundred kilobytes."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours from dark to light, and the words by which a prompt would ask for them."""

    words: str
    stops: tuple[Colour, ...]

    def ramp(self) -> bytes:
        """256 colours on the way through the stops, as Pillow's palettes want them."""
        last = len(self.stops) - 1
        colours = (self._at(i * last / 255) for i in range(256))
        return bytes(channel for colour in colours for channel in colour)

    def _at(self, place: float) -> Colour:
        left = min(int(place), len(self.stops) - 2)
        return mixed(self.stops[left], self.stops[left + 1], place - left)


PALETTES = (
    Palette("warm dusk light, violet and orange", ((12, 10, 40), (60, 20, 110), (200, 60, 120), (255, 170, 90), (255, 240, 200))),
    Palette("deep teal and gold", ((4, 18, 30), (8, 60, 80), (30, 140, 140), (210, 180, 90), (255, 244, 210))),
    Palette("cold morning, blue and rose", ((14, 22, 48), (50, 80, 140), (140, 160, 210), (240, 190, 190), (255, 246, 236))),
    Palette("emerald and mint", ((3, 22, 20), (10, 80, 60), (60, 170, 110), (180, 230, 150), (250, 255, 230))),
    Palette("ember red and ash", ((18, 8, 10), (90, 14, 22), (200, 50, 30), (250, 140, 60), (255, 230, 190))),
    Palette("ink and pale lavender", ((10, 10, 24), (48, 40, 92), (120, 100, 180), (200, 180, 230), (252, 248, 255))),
)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of `b`, the rest of `a`."""
    red, green, blue = (round(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def clouds(rng: random.Random, finer: tuple[tuple[int, float], ...] = ((8, 0.33), (16, 0.14))) -> Image.Image:
    """A grey field of soft noise: coarse random dots enlarged smoothly, then finer ones (columns, share) blended over them."""
    field = dots(rng, 4)
    for columns, share in finer:
        field = Image.blend(field, dots(rng, columns), share)
    return field


def dots(rng: random.Random, columns: int) -> Image.Image:
    """Random grey dots, so many in a row, enlarged until they melt into each other."""
    rows = columns * 3 // 2
    return Image.frombytes("L", (columns, rows), rng.randbytes(columns * rows)).resize(SIZE, Image.Resampling.BICUBIC)


def coloured(grey: Image.Image, palette: Palette) -> Image.Image:
    """The grey field in the palette's colours."""
    field = grey.copy()
    field.putpalette(palette.ramp())
    return field.convert("RGB")


def glow(radius: int, centre: tuple[int, int], strength: float) -> Image.Image:
    """A grey field, black but for a soft round light."""
    dark_at = 179  # what Pillow's radial gradient says in the middle of an edge; a light that ends later would look square
    fade = [round(255 * strength * max(0.0, 1 - v / dark_at) ** 2) for v in range(256)]
    light = Image.radial_gradient("L").resize((radius * 2, radius * 2)).point(fade)
    field = Image.new("L", SIZE)
    field.paste(light, (centre[0] - radius, centre[1] - radius))
    return field


def nebula(rng: random.Random, palette: Palette) -> Image.Image:
    """Clouds of gas with a bright heart and stars."""
    field = ImageChops.add(
        clouds(rng).point(lambda v: v * v // 300), glow(300, (rng.randrange(120, 390), rng.randrange(180, 560)), 0.6)
    )
    draw = ImageDraw.Draw(field)
    for _ in range(260):
        x, y, r = rng.randrange(SIZE[0]), rng.randrange(SIZE[1]), rng.choice((0, 0, 0, 1))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=rng.randrange(120, 256))
    return coloured(field, palette)


def silk(rng: random.Random, palette: Palette) -> Image.Image:
    """Folds of cloth: the level lines of a cloud, rounded by a sine."""
    folds = rng.uniform(2.0, 4.0)
    bent = [round(127.5 + 127.5 * math.sin(v / 255 * folds * math.tau)) for v in range(256)]
    return coloured(clouds(rng, finer=((6, 0.12),)).point(bent), palette)


def ridge(rng: random.Random, base: float, height: float) -> list[tuple[float, float]]:
    """The outline of one chain of mountains: sines of rising frequency, closed along the bottom edge."""
    waves = [(2**k * rng.uniform(0.7, 1.3), rng.uniform(0, math.tau), height / 1.8**k) for k in range(6)]
    line = [
        (float(x), base - sum(a * math.sin(f * x / SIZE[0] * math.tau + p) for f, p, a in waves)) for x in range(0, SIZE[0] + 4, 4)
    ]
    return [(0.0, float(SIZE[1])), *line, (float(SIZE[0]), float(SIZE[1]))]


def mountains(rng: random.Random, palette: Palette) -> Image.Image:
    """Misty ridges before a low sun: far ones pale, near ones dark."""
    sky = Image.linear_gradient("L").resize(SIZE).point(lambda v: 90 + v * 160 // 255)
    sun = glow(rng.randrange(90, 200), (rng.randrange(110, 400), rng.randrange(170, 330)), 1.0)
    picture = coloured(ImageChops.add(sky, sun), palette)
    draw = ImageDraw.Draw(picture)
    for k in range(6):
        colour = mixed(palette.stops[-2], palette.stops[0], 0.2 + 0.15 * k)
        draw.polygon(ridge(rng, 330 + 75 * k, 34 + 5 * k), fill=colour)
    return picture


def orbs(rng: random.Random, palette: Palette) -> Image.Image:
    """Lights out of focus."""
    field = clouds(rng).point(lambda v: v // 4)
    for _ in range(9):
        at = (rng.randrange(SIZE[0]), rng.randrange(SIZE[1]))
        field = ImageChops.add(field, glow(rng.randrange(40, 170), at, rng.uniform(0.5, 1.0)))
    return coloured(field, palette)


Painter = Callable[[random.Random, Palette], Image.Image]

MOTIFS: tuple[tuple[str, Painter], ...] = (
    ("misty mountain ridges, low sun, layered depth", mountains),
    ("a nebula in deep space, drifting gas, bright core, stars", nebula),
    ("folds of flowing silk, soft shadows, macro photograph", silk),
    ("bokeh lights at night, shallow depth of field", orbs),
)
"""What is painted, in the words of a prompt, and who paints it."""
