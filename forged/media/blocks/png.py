"""PNG and APNG: texts in chunks before and after the picture (W3C PNG third edition, section 11).

A wrong checksum is no reason to leave a text out, and bytes after IEND are not the picture's.
"""

from __future__ import annotations

from collections.abc import Callable

from forged.media.blocks import exif
from forged.media.blocks.findings import Findings, named
from forged.media.blocks.inflate import text_bytes
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader

_SIGNATURE_BYTES = 8
_FRAME_BYTES = 12
"""Length, type and checksum around a chunk's data."""

_HEX_OF_EXIF = ("/Raw profile type exif", "/Raw profile type APP1")


def read(reader: Reader, findings: Findings) -> None:
    """Chunks up to IEND, or as far as they lead."""
    position, ends, frames, duration_s = _SIGNATURE_BYTES, False, 0, 0.0
    while not ends and len(head := reader.at(position, 8)) == 8 and head[4:].isalpha():
        kind, size = head[4:], int.from_bytes(head[:4], "big")
        if kind == b"IHDR":
            findings.width, findings.height = _two(reader.at(position + 8, 8))
        elif kind == b"acTL":
            frames, _ = _two(reader.at(position + 8, 8))
        elif kind == b"fcTL":
            duration_s += _delay_s(reader.at(position + 8, 26))
        elif kind in _TEXTS:
            _text(reader, findings, kind, position + 8, size)
        ends = kind == b"IEND"
        position += _FRAME_BYTES + size
    findings.moving(frames, duration_s)


def _two(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")


def _delay_s(control: bytes) -> float:
    """How long a frame is shown; a denominator of 0 means hundredths."""
    return int.from_bytes(control[20:22], "big") / (int.from_bytes(control[22:24], "big") or 100)


def _text(reader: Reader, findings: Findings, kind: bytes, start: int, size: int) -> None:
    place = f"png/{kind.decode()}"
    if start + size > reader.size_bytes:
        findings.problem(f"{place}: the file ends within it")
    elif findings.admits(place, size):
        _TEXTS[kind](findings, place, reader.bulk(start, size))


def _plain(findings: Findings, place: str, data: bytes) -> None:
    """tEXt, and `comf` of ComfyUI's animated PNGs (comfy_extras/nodes_images.py): key, NUL, text."""
    key, _, text = data.partition(b"\0")
    _keep(findings, named(f"{place}/{decoded(key)}"), text)


def _compressed(findings: Findings, place: str, data: bytes) -> None:
    """zTXt: key, NUL, method (always 0), zlib stream."""
    key, _, rest = data.partition(b"\0")
    place = named(f"{place}/{decoded(key)}")
    _keep(findings, place, text_bytes(findings, place, rest[1:]))


def _international(findings: Findings, place: str, data: bytes) -> None:
    """iTXt: key, NUL, whether compressed, method, language, NUL, translated key, NUL, text."""
    key, _, rest = data.partition(b"\0")
    place, parts = named(f"{place}/{decoded(key)}"), rest[2:].split(b"\0", 2)
    if len(parts) == 3:
        _keep(findings, place, text_bytes(findings, place, parts[2]) if rest[0] else parts[2])
    else:
        findings.problem(f"{place}: it has no text")


def _keep(findings: Findings, place: str, data: bytes) -> None:
    """A text, or EXIF as ImageMagick 6 and GIMP put it into a PNG."""
    if not place.endswith(_HEX_OF_EXIF):
        findings.text(place, decoded(data))
        return
    try:  # after an empty line: what it is, how many bytes, and those in hexadecimal digits
        block = bytes.fromhex(data.split(maxsplit=2)[2].decode("ascii"))
    except (ValueError, IndexError):
        findings.problem(f"{place}: it is no EXIF in hexadecimal digits")
        return
    exif.read_block(block, findings)


def _exif(findings: Findings, place: str, data: bytes) -> None:
    exif.read_block(data, findings)


_TEXTS: dict[bytes, Callable[[Findings, str, bytes], None]] = {
    b"tEXt": _plain,
    b"zTXt": _compressed,
    b"iTXt": _international,
    b"comf": _plain,
    b"eXIf": _exif,
}
