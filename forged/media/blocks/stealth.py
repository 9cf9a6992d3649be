"""A text in the lowest bits of a picture's pixels, column by column.

A signature of 15 characters, 32 bits that say how many bits follow, and those: UTF-8, or gzip of it. In the alpha channel a bit
a pixel; in `rgb` three, red first. (ashen-sensored, sd_webui_stealth_pnginfo; NovelAI, novelai-image-metadata, `nai_meta.py`.)
"""

from __future__ import annotations

from forged.media.blocks.findings import MOST_BLOCK_BYTES
from forged.media.blocks.inflate import GZIP, Inflated, inflated
from forged.media.blocks.text import decoded

_IN_ALPHA = {b"stealth_pnginfo": False, b"stealth_pngcomp": True}
_IN_COLOURS = {b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
"""Signatures, and whether the text is compressed."""

_SIGNATURE_BITS = 15 * 8
_LENGTH_BITS = 32
_DIGITS = bytes(b"01"[byte & 1] for byte in range(256))


def stealth_text(width: int, height: int, rgba: bytes) -> str | None:
    """The text hidden in a decoded picture; None where there is none, or none that can be read.

    `rgba`: four bytes a pixel, row by row. No is said by the first column; a text takes time in proportion to it. Raises
    ValueError where there are fewer bytes than pixels.
    """
    if width < 1 or height < 1 or len(rgba) < 4 * width * height:
        raise ValueError(f"{len(rgba)} bytes are no {width} x {height} pixels")
    for signatures, channels in ((_IN_ALPHA, (3,)), (_IN_COLOURS, (0, 1, 2))):
        bits = _Bits(width, height, rgba, channels)
        compressed = signatures.get(bits.take(0, _SIGNATURE_BITS))
        if compressed is not None:
            return _text(bits, compressed)
    return None


def _text(bits: _Bits, compressed: bool) -> str | None:
    start = _SIGNATURE_BITS + _LENGTH_BITS
    count = int.from_bytes(bits.take(_SIGNATURE_BITS, _LENGTH_BITS), "big")
    if not 0 < count <= 8 * MOST_BLOCK_BYTES:
        return None
    data = bits.take(start, count & ~7)
    if compressed:
        try:
            data, _ = inflated(data, GZIP)
        except Inflated:
            return None
    return decoded(data) or None


class _Bits:
    """The lowest bits of some channels, down the first column, then down the next."""

    def __init__(self, width: int, height: int, rgba: bytes, channels: tuple[int, ...]) -> None:
        self._width = width
        self._height = height
        self._rgba = rgba
        self._channels = channels
        self.count = width * height * len(channels)

    def take(self, start: int, count: int) -> bytes:
        """`count` bits from the `start`th on, a multiple of 8; the first is the highest of its byte. Empty beyond the picture."""
        if start + count > self.count or not count:
            return b""
        first, skipped = divmod(start, self._height * len(self._channels))
        columns, read = [], 0
        for column in range(first, self._width):
            columns.append(self._column(column))
            read += len(columns[-1])
            if read >= skipped + count:
                break
        digits = b"".join(columns)[skipped : skipped + count].translate(_DIGITS)
        return int(digits, 2).to_bytes(count // 8, "big")

    def _column(self, column: int) -> bytes:
        """Its channels' bytes, those of one pixel together."""
        step, end = 4 * self._width, 4 * self._width * self._height
        if len(self._channels) == 1:
            return self._rgba[4 * column + self._channels[0] : end : step]
        found = bytearray(len(self._channels) * self._height)
        for number, channel in enumerate(self._channels):
            found[number :: len(self._channels)] = self._rgba[4 * column + channel : end : step]
        return bytes(found)
