"""EXIF and TIFF: lists of tags at offsets (TIFF 6.0, section 2; CIPA DC-008-2024, Exif 3.0). Nothing is followed twice.

Generators put their texts wherever a text goes: ComfyUI's WebP into Make, Model and the tags before them, Fooocus into a
UserComment of IFD0, where none belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from forged.media.blocks import text
from forged.media.blocks.findings import Findings
from forged.media.containers.reader import Reader

ReadAt = Callable[[int, int], bytes]
"""From offset on, so many bytes; fewer at the end."""

_MOST_ENTRIES = 512
"""Of one list. Cameras write a hundred."""

_PREFIX = b"Exif\0\0"
"""In front of a JPEG's; some write it in WebP and AVIF, too."""

_BYTE, _ASCII, _UNDEFINED, _UTF8 = 1, 2, 7, 129
_TEXT_TYPES = frozenset({_ASCII, _UTF8})
_ANY_TEXT_TYPES = _TEXT_TYPES | {_BYTE, _UNDEFINED}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_SHORT, _LONG = 3, 4

_WIDTH, _HEIGHT = 0x0100, 0x0101
_XMP = 0x02BC
_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_MAKER_NOTE = 0x927C

_WINDOWS_TEXTS = range(0x9C9B, 0x9CA0)
"""XPTitle to XPSubject, which Windows Explorer writes in little-endian UTF-16."""

_NAMES = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x011D: "PageName",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x8298: "Copyright",
    0x9003: "DateTimeOriginal",
    0x9004: "DateTimeDigitized",
    _MAKER_NOTE: "MakerNote",
    _USER_COMMENT: "UserComment",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
    0xA420: "ImageUniqueID",
    0xA430: "CameraOwnerName",
    0xA433: "LensMake",
    0xA434: "LensModel",
}
"""As exiftool and the standard call them; others go by their number."""


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    type: int
    size_bytes: int
    field: bytes
    """Four bytes: the value itself where it fits, else where it lies."""


class _Tags:
    """A TIFF structure by its header."""

    def __init__(self, read_at: ReadAt, order: Literal["little", "big"]) -> None:
        self._read_at = read_at
        self.order = order

    def number(self, data: bytes) -> int:
        return int.from_bytes(data, self.order)

    def first(self) -> Iterator[_Entry]:
        """Of the list that the header names."""
        return self.entries(self.number(self._read_at(4, 4)))

    def entries(self, offset: int) -> Iterator[_Entry]:
        """Of the list at this offset, as many as are there."""
        count = min(self.number(self._read_at(offset, 2)), _MOST_ENTRIES)
        block = self._read_at(offset + 2, 12 * count)
        for start in range(0, len(block) - 11, 12):
            one = block[start : start + 12]
            tag, type, items = self.number(one[:2]), self.number(one[2:4]), self.number(one[4:8])
            if type in _TYPE_BYTES:
                yield _Entry(tag, type, items * _TYPE_BYTES[type], one[8:])

    def value(self, entry: _Entry) -> bytes:
        """All of it; shorter where the file ends within."""
        if entry.size_bytes <= 4:
            return entry.field[: entry.size_bytes]
        return self._read_at(self.number(entry.field), entry.size_bytes)


def read_block(data: bytes, findings: Findings) -> None:
    """EXIF as a block of another container. What is none is a problem."""
    data = data.removeprefix(_PREFIX)
    tags = _tags(lambda offset, count: data[offset : offset + count])
    if tags is None:
        findings.problem("exif: it does not begin as EXIF does")
        return
    _read_lists(tags, findings)


def read(reader: Reader, findings: Findings) -> None:
    """A TIFF file: its first picture's size, and its texts."""
    tags = _tags(reader.bulk)
    if tags is None:
        findings.problem("tiff: it has no header")
        return
    for entry in _read_lists(tags, findings):
        if entry.tag in (_WIDTH, _HEIGHT) and entry.type in (_SHORT, _LONG):
            size = tags.number(entry.field[: _TYPE_BYTES[entry.type]])
            findings.width, findings.height = (size, findings.height) if entry.tag == _WIDTH else (findings.width, size)


def _tags(read_at: ReadAt) -> _Tags | None:
    head = read_at(0, 4)
    if head == b"II*\0":
        return _Tags(read_at, "little")
    return _Tags(read_at, "big") if head == b"MM\0*" else None


def _read_lists(tags: _Tags, findings: Findings) -> list[_Entry]:
    """The texts of the first list and of the EXIF list that it names. Returns the first list."""
    first = list(tags.first())
    inner = [entry for entry in first if entry.tag == _EXIF_IFD and entry.size_bytes == 4][:1]
    for entry in first:
        _read_text(tags, findings, entry)
    for pointer in inner:
        for entry in tags.entries(tags.number(pointer.field)):
            _read_text(tags, findings, entry)
    return first


def _read_text(tags: _Tags, findings: Findings, entry: _Entry) -> None:
    if entry.type not in (_ANY_TEXT_TYPES if entry.tag in _NAMES or entry.tag == _XMP else _TEXT_TYPES) or not entry.size_bytes:
        return
    place = f"{findings.format}/xmp" if entry.tag == _XMP else f"exif/{_NAMES.get(entry.tag, f'0x{entry.tag:04X}')}"
    if not findings.admits(place, entry.size_bytes):
        return
    data = tags.value(entry)
    if len(data) < entry.size_bytes:
        findings.problem(f"{place}: it reaches beyond the end")
    elif entry.tag != _MAKER_NOTE or text.is_text(data):
        findings.text(place, _decoded(entry.tag, data, tags.order == "big"))


def _decoded(tag: int, data: bytes, is_big_endian: bool) -> str:
    if tag == _USER_COMMENT:
        return text.user_comment(data, is_big_endian)
    return text.utf16(data) if tag in _WINDOWS_TEXTS else text.decoded(data)
