"""What finds the same picture in other bytes."""

from __future__ import annotations

import hashlib

from PIL import Image

from forged.media.pictures.still import plain

ROWS = 256
"""Pixels are hashed so many lines at a time: no second copy of a large picture."""


def dhash(image: Image.Image) -> bytes:
    """64 bits of a picture of 9 by 8: is a pixel brighter than its right neighbour, from the upper left on, line by line.

    `image` is a thumbnail or larger. What is transparent counts as black, whatever colour it hides.
    """
    if image.mode == "RGBA":
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    grey = image.convert("L").resize((9, 8), Image.Resampling.LANCZOS).tobytes()
    bits = 0
    for row in range(8):
        for left in range(row * 9, row * 9 + 8):
            bits = bits << 1 | (grey[left] > grey[left + 1])
    return bits.to_bytes(8, "big")


def pixels_sha256(image: Image.Image) -> bytes:
    """Over width and height (4 bytes each, big-endian) and the pixels as RGBA, as they are stored: before any EXIF orientation.

    Equal for the same pixels with other metadata, and for the same picture in any lossless format (PNG, GIF, lossless WebP, BMP,
    palette or not) of 8 bits a channel. Of lossy formats (JPEG, WebP, AVIF) the same bytes give the same pixels as long
    as the decoder is the same version. Pillow keeps the upper 8 of 16 bits, so pictures that differ below that are equal.
    """
    width, height = image.size
    digest = hashlib.sha256(width.to_bytes(4, "big") + height.to_bytes(4, "big"))
    for top in range(0, height, ROWS):
        strip = image.crop((0, top, width, min(top + ROWS, height)))
        digest.update(plain(strip).convert("RGBA").tobytes())
    return digest.digest()
