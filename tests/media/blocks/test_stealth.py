"""Texts in the lowest bits of pixels: as they are hidden, cut, forged."""

from __future__ import annotations

import gzip
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.media.blocks.stealth import stealth_text

TEXT = "a cat, 猫\nNegative prompt: bad\nSteps: 20"


def hidden(payload: bytes, width: int, height: int, channels: tuple[int, ...] = (3,), seed: int = 1) -> bytes:
    """Noise with these bits in it, column by column."""
    pixels = bytearray(random.Random(seed).randbytes(4 * width * height))
    bits = (byte >> shift & 1 for byte in payload for shift in range(7, -1, -1))
    for x in range(width):
        for y in range(height):
            for channel in channels:
                bit = next(bits, None)
                if bit is None:
                    return bytes(pixels)
                at = 4 * (y * width + x) + channel
                pixels[at] = pixels[at] & 0xFE | bit
    return bytes(pixels)


def payload(signature: bytes, data: bytes, bits: int | None = None) -> bytes:
    return signature + struct.pack(">I", 8 * len(data) if bits is None else bits) + data


KINDS = {
    "A1111, alpha": (b"stealth_pnginfo", TEXT.encode(), (3,)),
    "NovelAI": (b"stealth_pngcomp", gzip.compress(TEXT.encode(), mtime=0), (3,)),
    "A1111, colours": (b"stealth_rgbinfo", TEXT.encode(), (0, 1, 2)),
    "A1111, colours, compressed": (b"stealth_rgbcomp", gzip.compress(TEXT.encode(), mtime=0), (0, 1, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (7, 500), (500, 7), (1, 2000), (2000, 1), (40, 31)])
def test_a_text_comes_back(kind: str, size: tuple[int, int]) -> None:
    signature, data, channels = KINDS[kind]
    assert stealth_text(*size, hidden(payload(signature, data), *size, channels)) == TEXT


def test_a_picture_without_one() -> None:
    assert stealth_text(64, 64, random.Random(2).randbytes(4 * 64 * 64)) is None
    assert stealth_text(1, 1, bytes(4)) is None
    assert stealth_text(64, 64, b"\xff" * (4 * 64 * 64)) is None


@pytest.mark.parametrize(
    "data",
    [
        payload(b"stealth_pnginfo", b"x", 0),
        payload(b"stealth_pnginfo", b"x", 0xFFFF_FFFF),
        payload(b"stealth_pngcomp", b"no gzip at all"),
        payload(b"stealth_pngcomp", gzip.compress(b"", mtime=0)),
        payload(b"stealth_pngcomp", b"", 64 * 64),
    ],
)
def test_a_signature_without_a_text(data: bytes) -> None:
    assert stealth_text(64, 64, hidden(data, 64, 64)) is None


def test_a_bomb_is_no_text() -> None:
    bomb = gzip.compress(bytes(64 << 20), mtime=0)
    assert stealth_text(1024, 1024, hidden(payload(b"stealth_pngcomp", bomb), 1024, 1024)) is None


def test_a_number_of_bits_that_makes_no_whole_bytes() -> None:
    assert stealth_text(64, 64, hidden(payload(b"stealth_pnginfo", b"cat!", 29), 64, 64)) == "cat"


@pytest.mark.parametrize(("width", "height", "count"), [(2, 2, 15), (0, 2, 16), (2, -1, 16)])
def test_pixels_that_are_not_there(width: int, height: int, count: int) -> None:
    with pytest.raises(ValueError, match="pixels"):
        stealth_text(width, height, bytes(count))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 70), st.integers(1, 70), st.binary(max_size=40), st.integers(0, 0xFFFF_FFFF))
def test_nothing_hidden_raises(kind: str, width: int, height: int, data: bytes, bits: int) -> None:
    signature, _, channels = KINDS[kind]
    found = stealth_text(width, height, hidden(payload(signature, data, bits), width, height, channels))
    assert found is None or found
