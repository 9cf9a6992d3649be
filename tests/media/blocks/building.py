"""Files of a few bytes, built by hand: what is wrong with them is meant."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from forged.media.blocks.table import read
from forged.model.media import MediaInfo
from tests.media.judging import Memory

ASCII, SHORT, LONG, UNDEFINED = 2, 3, 4, 7


def looked_into(data: bytes) -> MediaInfo:
    with Memory(data) as memory:
        return read(memory.fd, memory.size_bytes)


def texts(data: bytes) -> list[tuple[str, str]]:
    return [(block.place, block.text) for block in looked_into(data).raw]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*before: bytes, after: Sequence[bytes] = (), width: int = 64, height: int = 48) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", b"x" * 40) + b"".join(after) + chunk(b"IEND", b"")


def text_chunk(key: str, text: str | bytes) -> bytes:
    return chunk(b"tEXt", key.encode() + b"\0" + (text if isinstance(text, bytes) else text.encode("latin-1")))


def tiff(entries: Sequence[tuple[int, int, bytes]], inner: Sequence[tuple[int, int, bytes]] = (), order: str = ">") -> bytes:
    """Tags of the first list and of the EXIF list: number, type, value."""
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    first_bytes = 2 + 12 * (len(entries) + bool(inner)) + 4
    values_at = 8 + first_bytes + (2 + 12 * len(inner) + 4 if inner else 0)
    values = bytearray()

    def listed(tags: Sequence[tuple[int, int, bytes]]) -> bytes:
        out = struct.pack(order + "H", len(tags))
        for tag, kind, value in tags:
            count = len(value) // {SHORT: 2, LONG: 4}.get(kind, 1)
            if len(value) <= 4:
                field = value.ljust(4, b"\0")
            else:
                field = struct.pack(order + "I", values_at + len(values))
                values.extend(value)
            out += struct.pack(order + "HHI", tag, kind, count) + field
        return out + bytes(4)

    pointer = [(0x8769, LONG, struct.pack(order + "I", 8 + first_bytes))] if inner else []
    return head + listed([*entries, *pointer]) + (listed(inner) if inner else b"") + bytes(values)


def comment_of(text: bytes, order: str = ">") -> bytes:
    """EXIF with a UserComment."""
    return tiff([], [(0x9286, UNDEFINED, text)], order)


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(*segments: bytes, width: int = 64, height: int = 48, frame: int = 0xC2) -> bytes:
    size = segment(frame, struct.pack(">BHHB", 8, height, width, 3) + bytes(9))
    return b"\xff\xd8" + b"".join(segments) + size + segment(0xDA, bytes(10)) + b"picture\xff\xd9"


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8x(width: int = 64, height: int = 48) -> bytes:
    return riff_chunk(b"VP8X", bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3])


def gif(*blocks: bytes, width: int = 64, height: int = 48) -> bytes:
    image = b"\x2c" + bytes(8) + b"\0\x02\x02xx\0"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + b"".join(blocks) + image + b"\x3b"


def sub_blocks(data: bytes) -> bytes:
    return b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)) + b"\0"


def box(kind: bytes, *inside: bytes) -> bytes:
    data = b"".join(inside)
    return struct.pack(">I", 8 + len(data)) + kind + data


def avif(exif: bytes = b"", xmp: bytes = b"", sizes: Sequence[tuple[int, int]] = ((64, 48),), brand: bytes = b"avif") -> bytes:
    """A picture as item 1, its texts as items 2 and 3. The last of the sizes is the picture's."""
    ftyp = box(b"ftyp", brand, bytes(4), brand, b"mif1")
    items = [(1, b"av01", b"", b"picture")]
    items += [(2, b"Exif", b"", bytes(4) + exif)] if exif else []
    items += [(3, b"mime", b"application/rdf+xml\0", xmp)] if xmp else []
    entries = [box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), kind, b"\0", more) for number, kind, more, _ in items]
    spaces = [box(b"ispe", bytes(4), struct.pack(">II", *size)) for size in sizes]
    links = box(b"ipma", bytes(4), struct.pack(">IHBB", 1, 1, 1, 0x80 | len(sizes)))

    def meta(data_at: int) -> bytes:
        places = b""
        for number, _, _, data in items:
            places += struct.pack(">HHHII", number, 0, 1, data_at, len(data))
            data_at += len(data)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(4), bytes(4), b"pict", bytes(13)),
            box(b"pitm", bytes(4), b"\0\1"),
            box(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", len(items)), places),
            box(b"iinf", bytes(4), struct.pack(">H", len(items)), *entries),
            box(b"iprp", box(b"ipco", *spaces), links),
        )

    data_at = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(data_at) + box(b"mdat", *(data for _, _, _, data in items))


def safetensors(json: bytes) -> bytes:
    return struct.pack("<Q", len(json)) + json + bytes(64)


def glb(json: bytes) -> bytes:
    json += b" " * (-len(json) % 4)
    return b"glTF" + struct.pack("<IIII", 2, 20 + len(json), len(json), 0x4E4F534A) + json
