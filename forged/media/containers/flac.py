"""FLAC: the last frame holds the last sample, and its checksum ends the file (RFC 9639, sections 8 and 9)."""

from __future__ import annotations

from dataclasses import dataclass

from forged.media.containers.reader import MAX_READ_BYTES, Reader, begins
from forged.model.transfer import Wholeness

_MAGIC = b"fLaC"
_STREAMINFO_BYTES = 34

_MAX_HEADER_BYTES = 16
"""Sync and codes 4, number 7, block size 2, sample rate 2, checksum 1."""

_ID3V1_BYTES = 128
"""A tag that some programs put after everything; it begins with TAG."""


@dataclass(frozen=True, slots=True)
class _Stream:
    block_samples: int
    total_samples: int


def claims(head: bytes) -> bool:
    """All four bytes: fewer are a word of a text."""
    return begins(head, _MAGIC, 4)


def inspect(reader: Reader) -> Wholeness:
    """WHOLE where the last 64 KiB hold a frame that reaches the announced last sample and is checksummed up to the end.

    UNKNOWN where no number of samples is announced (encoders put it in when they close, and a pipe never does), and where
    frames are larger than what is read.
    """
    head = reader.at(0, 8 + _STREAMINFO_BYTES)
    if len(head) < 8 + _STREAMINFO_BYTES:
        return Wholeness.BROKEN
    stream = _Stream(int.from_bytes(head[10:12], "big"), int.from_bytes(head[21:26], "big") & (1 << 36) - 1)
    if stream.total_samples == 0 or int.from_bytes(head[15:18], "big") > MAX_READ_BYTES:
        return Wholeness.UNKNOWN
    tail = reader.tail(MAX_READ_BYTES)
    if tail[-_ID3V1_BYTES:].startswith(b"TAG"):
        tail = tail[:-_ID3V1_BYTES]
    return Wholeness.WHOLE if _ends_with_last_frame(tail, stream) else Wholeness.BROKEN


def _ends_with_last_frame(tail: bytes, stream: _Stream) -> bool:
    start = len(tail)
    while (start := tail.rfind(b"\xff", 0, start)) >= 0:
        if _reaches_last_sample(tail[start : start + _MAX_HEADER_BYTES], stream):
            return _crc16(tail[start:]) == 0
    return False


def _reaches_last_sample(head: bytes, stream: _Stream) -> bool:
    """Whether these bytes are a frame header, by its own checksum, of the frame that holds the last sample."""
    number_bytes = _number_width(head[4]) if len(head) > 5 and head[1] & 0xFE == 0xF8 else 0
    if not number_bytes:
        return False
    sizes_at = 4 + number_bytes
    crc_at = sizes_at + {6: 1, 7: 2}.get(head[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if crc_at >= len(head) or _crc8(head[:crc_at]) != head[crc_at]:
        return False
    number = _number(head[4:sizes_at])
    first = number if head[1] & 1 else number * stream.block_samples
    return first < stream.total_samples <= first + _block_samples(head[2] >> 4, head[sizes_at:], stream)


def _number_width(first: int) -> int:
    """How many bytes the frame's number takes, coded as UTF-8 is, up to seven; 0 for none."""
    if first < 0x80:
        return 1
    ones = 8 - (first ^ 0xFF).bit_length()
    return ones if 2 <= ones <= 7 else 0


def _number(coded: bytes) -> int:
    if len(coded) == 1:
        return coded[0]
    value = coded[0] & (1 << 7 - len(coded)) - 1
    for byte in coded[1:]:
        value = value << 6 | byte & 0x3F
    return value


def _block_samples(code: int, sizes: bytes, stream: _Stream) -> int:
    """Samples in a block, by RFC 9639 table 14."""
    if code in (6, 7):
        return int.from_bytes(sizes[: code - 5], "big") + 1
    if code == 1:
        return 192
    if code == 0:
        return stream.block_samples
    return 576 << code - 2 if code < 6 else 256 << code - 8


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    def step(crc: int) -> int:
        for _ in range(8):
            crc = (crc << 1) ^ (polynomial if crc >> bits - 1 else 0)
            crc &= (1 << bits) - 1
        return crc

    return tuple(step(byte << bits - 8) for byte in range(256))


_CRC8 = _table(0x07, 8)
_CRC16 = _table(0x8005, 16)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc16(data: bytes) -> int:
    """0 over a frame with its checksum. Python's binascii has another polynomial; 64 KiB take some 6 ms here."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
    return crc
