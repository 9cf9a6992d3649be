"""How the programs put their files on disk, which is the very thing a synchroniser stumbles over.

A1111 and Forge write `<stem>.tmp` beside the final name and rename it (`_atomically_save_image` of modules/images.py); ComfyUI
writes pictures and films straight to the final name, so that a half-written file stands there under the name of a whole one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from forged.demo.recipes import Recipe, graph, parameters

COMPRESS_LEVEL = 4
"""What ComfyUI's SaveImage uses (nodes.py); also fast enough to paint four pictures a second beside everything else."""

FILM_SIZE = (384, 288)
FRAMES_PER_S = 24
FRAMES = 48
FRAMES_AT_A_TIME = 8
"""A film of 2 s, written in six steps; between two steps its file stands there unfinished."""


def a1111_picture(folder: Path, number: int, recipe: Recipe) -> Path:
    """Saves `00000-<seed>.png` as A1111 does: under `.tmp` first, then renamed into place."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{number:05}-{recipe.seed}.png"
    beside = final.with_suffix(".tmp")
    recipe.paint().save(beside, format="PNG", pnginfo=text(parameters=parameters(recipe)), compress_level=COMPRESS_LEVEL)
    os.replace(beside, final)
    return final


def comfyui_picture(folder: Path, number: int, recipe: Recipe) -> Path:
    """Saves `ComfyUI_00001_.png` straight to its final name, with the graph in it."""
    final = comfyui_name(folder, number, ".png")
    recipe.paint().save(final, pnginfo=text(prompt=graph(recipe)), compress_level=COMPRESS_LEVEL)
    return final


def cut_picture(folder: Path, number: int, recipe: Recipe) -> Path:
    """The same picture, but the machine is switched off half-way through the writing."""
    final = comfyui_name(folder, number, ".png")
    whole = io.BytesIO()
    recipe.paint().save(whole, format="PNG", pnginfo=text(prompt=graph(recipe)), compress_level=COMPRESS_LEVEL)
    final.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    return final


def comfyui_film(folder: Path, number: int, recipe: Recipe) -> Iterator[Path | None]:
    """Writes `ComfyUI_00001_.mp4` in steps, straight to its final name; yields None between steps and the path when it is whole.

    MPEG-4 part 2, because every build of the library can write it; `use_metadata_tags` is how ComfyUI keeps its graph in a film.
    """
    final = comfyui_name(folder, number, ".mp4")
    picture = recipe.paint()
    # Without flush_packets the muxer keeps small films in its buffer, and nobody would see the file grow.
    with av.open(str(final), "w", options={"movflags": "use_metadata_tags", "flush_packets": "1"}) as film:
        film.metadata["prompt"] = graph(recipe)
        stream = film.add_stream("mpeg4", rate=FRAMES_PER_S, bit_rate=4_000_000)
        stream.width, stream.height = FILM_SIZE
        stream.pix_fmt = "yuv420p"
        for number_of_frame in range(FRAMES):
            frame = av.VideoFrame.from_image(scene(picture, number_of_frame))  # type: ignore[no-untyped-call]  # untyped in PyAV
            frame.pts, frame.time_base = number_of_frame, Fraction(1, FRAMES_PER_S)
            film.mux(stream.encode(frame))
            if number_of_frame % FRAMES_AT_A_TIME == FRAMES_AT_A_TIME - 1:
                yield None
        film.mux(stream.encode(None))
    yield final


def scene(picture: Image.Image, number: int) -> Image.Image:
    """One frame: the camera sinks slowly over the picture."""
    width, height = FILM_SIZE
    return ImageChops.offset(picture, 0, -4 * number).crop((64, 200, 64 + width, 200 + height))


def comfyui_name(folder: Path, number: int, suffix: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"ComfyUI_{number:05}_{suffix}"


def text(**chunks: str) -> PngInfo:
    """PNG text chunks by keyword."""
    info = PngInfo()
    for keyword, value in chunks.items():
        info.add_text(keyword, value)
    return info
