"""AVIF and HEIF: items beside the picture with EXIF and XMP, and the picture's size (ISO/IEC 23008-12; 14496-12, section 8.11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from forged.media.blocks import exif
from forged.media.blocks.boxes import Box, Numbers, boxes
from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader

_MOST_TABLE_BYTES = 1 << 20
"""Of one table. A picture of a thousand tiles has one of some 20 KB."""

_EXIF, _XMP = b"Exif", b"mime"
_XMP_CONTENT = b"application/rdf+xml"
_IN_FILE, _IN_BOX = 0, 1
"""Where an item's offsets count from: the file, or the `idat` box. A third way, other items, is for pictures only."""


@dataclass(slots=True)
class _Meta:
    """What the `meta` box says, as far as it is of use."""

    texts: dict[int, bytes] = field(default_factory=dict)
    """Items by number: Exif or XMP."""
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By the number of the property, from 1 on."""
    primary: int = 0
    data_at: int = 0


def read(reader: Reader, findings: Findings) -> None:
    """The `meta` box, and the frames of a sequence."""
    for box in boxes(reader, 0, reader.size_bytes):
        if box.kind == b"meta":
            try:
                _read_meta(reader, findings, box)
            except EOFError:
                findings.problem(f"{findings.format}: its tables are cut")
        elif box.kind == b"moov":
            _read_sequence(reader, findings, box)


def _read_meta(reader: Reader, findings: Findings, meta: Box) -> None:
    inside = {box.kind: box for box in boxes(reader, meta.start + 4, meta.end)}
    found = _Meta(data_at=inside[b"idat"].start if b"idat" in inside else 0)
    if b"pitm" in inside:
        numbers = _table(reader, inside[b"pitm"])
        found.primary = numbers.next(4 if numbers.next(4) >> 24 else 2)
    if b"iprp" in inside:
        _read_size(reader, findings, found, inside[b"iprp"])
    if b"iinf" in inside:
        _read_items(reader, found, inside[b"iinf"])
    if found.texts and b"iloc" in inside:
        for item, method, extents in _places(_table(reader, inside[b"iloc"])):
            if item in found.texts and method in (_IN_FILE, _IN_BOX):
                _read_text(reader, findings, found.texts[item], [(at + method * found.data_at, size) for at, size in extents])


def _table(reader: Reader, box: Box) -> Numbers:
    return Numbers(reader.bulk(box.start, min(box.end - box.start, _MOST_TABLE_BYTES)))


def _read_size(reader: Reader, findings: Findings, found: _Meta, properties: Box) -> None:
    """That of the primary item; where none is linked to it, the largest there is (of a grid the whole, not a tile)."""
    for box in boxes(reader, properties.start, properties.end):
        if box.kind == b"ipco":
            for number, one in enumerate(boxes(reader, box.start, box.end), 1):
                if one.kind == b"ispe":
                    numbers = _table(reader, one)
                    numbers.next(4)
                    found.sizes[number] = numbers.next(4), numbers.next(4)
        elif box.kind == b"ipma":
            linked = [found.sizes[number] for number in _properties(_table(reader, box), found.primary) if number in found.sizes]
            if linked:
                findings.width, findings.height = linked[0]
    if findings.width is None and found.sizes:
        findings.width, findings.height = max(found.sizes.values(), key=lambda size: size[0] * size[1])


def _properties(links: Numbers, item: int) -> list[int]:
    """Which are linked to this item."""
    version_flags = links.next(4)
    number_bytes, link_bytes = 4 if version_flags >> 24 else 2, 2 if version_flags & 1 else 1
    for _ in range(links.next(4)):
        number, linked = links.next(number_bytes), links.next(1)
        numbers = links.take(linked * link_bytes)
        if number == item:  # the highest bit says whether it is essential
            mask = (1 << 8 * link_bytes - 1) - 1
            return [int.from_bytes(numbers[at : at + link_bytes], "big") & mask for at in range(0, len(numbers), link_bytes)]
    return []


def _read_items(reader: Reader, found: _Meta, items: Box) -> None:
    """Of all items those that are texts."""
    version = reader.at(items.start, 1)
    for box in boxes(reader, items.start + (8 if version > b"\0" else 6), items.end):
        if box.kind == b"infe":
            numbers = _table(reader, box)
            version_flags = numbers.next(4)
            if version_flags >> 24 < 2:
                continue  # of before 2008: without a kind
            number, _, kind = numbers.next(2 if version_flags >> 24 == 2 else 4), numbers.next(2), numbers.take(4)
            numbers.string()
            if kind == _EXIF or (kind == _XMP and numbers.string() == _XMP_CONTENT):
                found.texts[number] = kind


def _places(table: Numbers) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """For each item its number, what its offsets count from, and its extents: offset and length, 0 for all the rest."""
    version, sizes, more_sizes = table.next(4) >> 24, table.next(1), table.next(1)
    offset_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, more_sizes >> 4
    index_bytes = more_sizes & 15 if version in (1, 2) else 0
    for _ in range(table.next(4 if version == 2 else 2)):
        number = table.next(4 if version == 2 else 2)
        method = table.next(2) & 15 if version in (1, 2) else _IN_FILE
        table.next(2)  # 0: this file
        base, extents = table.next(base_bytes), []
        for _ in range(table.next(2)):
            table.next(index_bytes)
            extents.append((base + table.next(offset_bytes), table.next(length_bytes)))
            if not offset_bytes + length_bytes + index_bytes:
                break  # further ones would be the same and take no bytes of the table
        yield number, method, extents


def _read_text(reader: Reader, findings: Findings, kind: bytes, extents: list[tuple[int, int]]) -> None:
    place = f"{findings.format}/{'EXIF' if kind == _EXIF else 'xmp'}"
    extents = [(at, size or max(reader.size_bytes - at, 0)) for at, size in extents]
    size = sum(size for _, size in extents)
    if not findings.admits(place, size):
        return
    data = b"".join(reader.bulk(at, size) for at, size in extents)
    if len(data) < size:
        findings.problem(f"{place}: the file ends within it")
    elif kind == _EXIF:  # in front of it stands how many bytes to skip
        exif.read_block(data[4 + int.from_bytes(data[:4], "big") :], findings)
    else:
        findings.text(place, decoded(data))


_INTO_A_SEQUENCE = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_DEEPEST = len(_INTO_A_SEQUENCE)


def _read_sequence(reader: Reader, findings: Findings, moov: Box) -> None:
    """Frames of the first track, and how long they are shown."""
    duration_s, frames, level = 0.0, 0, [moov]
    for _ in range(_DEEPEST):
        inside = [box for outer in level for box in boxes(reader, outer.start, outer.end)]
        for box in inside:
            if box.kind == b"mdhd" and not duration_s:
                duration_s = _duration_s(reader.at(box.start, 36))
            elif box.kind == b"stsz" and not frames:
                frames = int.from_bytes(reader.at(box.start + 8, 4), "big")
        level = [box for box in inside if box.kind in _INTO_A_SEQUENCE]
    findings.moving(frames, duration_s)


def _duration_s(head: bytes) -> float:
    """Of a `mdhd` box: its units are so many a second."""
    wide = head[:1] == b"\1"
    a_second = int.from_bytes(head[20:24] if wide else head[12:16], "big")
    units = int.from_bytes(head[24:32] if wide else head[16:20], "big")
    return units / a_second if a_second else 0.0
