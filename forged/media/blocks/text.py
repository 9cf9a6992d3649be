"""From bytes to texts, by rules that were measured on real files: what a format demands is not what programs write.

All texts that come from here are without lone surrogates (U+FFFD instead) and without NULs around them; otherwise they are
untouched. What was cut in the middle of a character ends in U+FFFD.
"""

from __future__ import annotations

import codecs
import re

_CODE_BYTES = 8
_UNICODE = b"UNICODE\0"
_EIGHT_BITS = frozenset({b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(_CODE_BYTES)})
"""Character codes of EXIF's UserComment (CIPA DC-008, section 4.6.5). Behind each of them programs write UTF-8."""

_CONTROLS = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")

_PROMPTS = re.compile("[\u0400-\u04ff\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]+")

_JUDGED_CHARS = 4096
"""Enough to tell which way round UTF-16 is."""


def decoded(data: bytes) -> str:
    """UTF-8 where it is that strictly, with or without a mark in front; UTF-16 with its mark; else Latin-1.

    PNG's tEXt is Latin-1 by its standard and UTF-8 in what several programs write (StabilityMatrix, TensorArt).
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return utf16(data)
    data = data.strip(b"\0").removeprefix(codecs.BOM_UTF8)
    try:
        return clean(data.decode())
    except UnicodeDecodeError as e:
        if e.reason == "unexpected end of data" and not data[: e.start].isascii():
            return clean(data[: e.start].decode() + "\ufffd")
    try:
        return clean(data.decode("utf-8", "surrogatepass"))  # of programs whose strings are UTF-16
    except UnicodeDecodeError:
        return clean(data.decode("latin-1"))


def user_comment(data: bytes, is_big_endian: bool = True) -> str:
    """EXIF's UserComment: eight bytes that name the characters, and the text; or the text alone (Fooocus, SaveImagePlus).

    `is_big_endian`: of the EXIF around it. A1111 writes big-endian UTF-16 whatever that says, others little-endian, so it decides
    only where the text itself does not.
    """
    code, rest = data[:_CODE_BYTES].upper(), data[_CODE_BYTES:]
    if code == _UNICODE:
        return decoded(rest) if _is_plain(rest) else utf16(rest, is_big_endian)
    body = rest if code in _EIGHT_BITS else data
    return utf16(body, is_big_endian) if _is_utf16(body) else decoded(body)


def utf16(data: bytes, is_big_endian: bool = False) -> str:
    """UTF-16 with a mark, or the way round in which it makes sense; `is_big_endian` decides where both do."""
    if data.startswith(codecs.BOM_UTF16_BE):
        is_big_endian, data = True, data[2:]
    elif data.startswith(codecs.BOM_UTF16_LE):
        is_big_endian, data = False, data[2:]
    else:
        is_big_endian = _is_big_endian(data, is_big_endian)
    return clean(data[: len(data) & ~1].decode("utf-16-be" if is_big_endian else "utf-16-le", "replace"))


def is_text(data: bytes) -> bool:
    """Whether bytes of no known kind are meant to be read: UTF-8 without control characters."""
    return bool(data.strip(b"\0")) and _is_plain(data)


def clean(text: str) -> str:
    """Without lone surrogates, and without NULs around it. Halves of a pair that stand together become one character."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.strip("\0")


def _is_plain(data: bytes) -> bool:
    """UTF-8 without NULs inside; UTF-16 has one in each character of ASCII."""
    try:
        return not _CONTROLS.search(data.strip(b"\0").decode())
    except UnicodeDecodeError:
        return False


def _is_utf16(data: bytes) -> bool:
    """Every other byte is mostly zero, and those between are not."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    most, least = sorted((data[0::2].count(0), data[1::2].count(0)), reverse=True)
    return most * 4 > len(data) and least * 8 <= most


def _is_big_endian(data: bytes, otherwise: bool) -> bool:
    high_first, high_second = data[0::2].count(0), data[1::2].count(0)
    if high_first == high_second:
        judged = data[: min(len(data) & ~1, 2 * _JUDGED_CHARS)]
        high_first = _common(judged.decode("utf-16-be", "replace"))
        high_second = _common(judged.decode("utf-16-le", "replace"))
    return otherwise if high_first == high_second else high_first > high_second


def _common(text: str) -> int:
    """How many characters are of writings that prompts are in: Chinese, Japanese, Korean, Cyrillic, full-width forms."""
    return sum(len(run) for run in _PROMPTS.findall(text))
