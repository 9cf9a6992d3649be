"""Which containers there are, and the one way in."""

from __future__ import annotations

from collections.abc import Callable

from forged.media.blocks import bmp, exif, gif, glb, heif, jpeg, jxl, png, safetensors, streams, svg, wav, webp
from forged.media.blocks.findings import Enough, Findings
from forged.media.containers import bmff, flac, matroska, mp3, ogg
from forged.media.containers import gif as gif_container
from forged.media.containers import glb as glb_container
from forged.media.containers import jpeg as jpeg_container
from forged.media.containers import png as png_container
from forged.media.containers.reader import HEAD_BYTES, OutOfSteps, Reader
from forged.model.media import MediaInfo, MediaKind

_Told = tuple[MediaKind, str]
_Read = Callable[[Reader, Findings], None]

_PICTURES = frozenset({b"avif", b"avis"})
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_QUICKTIME, _SOUND = b"qt  ", frozenset({b"M4A ", b"M4B ", b"M4P "})
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"pnot"})
"""What QuickTime files began with before there was `ftyp`."""

_READERS: dict[str, _Read] = {
    "png": png.read,
    "jpeg": jpeg.read,
    "webp": webp.read,
    "gif": gif.read,
    "avif": heif.read,
    "heif": heif.read,
    "jxl": jxl.read,
    "tiff": exif.read,
    "bmp": bmp.read,
    "svg": svg.read,
    "glb": glb.read,
    "wav": wav.read,
    "safetensors": safetensors.read,
}
"""All others are video or sound, and go through PyAV."""


def read(fd: int, size_bytes: int) -> MediaInfo:
    """What a file of this size says of itself, without generation; OTHER with no format for what is none of ours.

    Known by content, never by name. Blocks on the disk: some 50 µs for a picture, under a millisecond for a film, where the bytes
    are at hand. Memory is bounded by the constants of `findings`, time by them and `reader.MAX_STEPS`; what is beyond is a text in
    `problems`. The descriptor's position neither matters nor moves. Raises OSError when the disk is in trouble, and nothing for
    what the file holds.
    """
    reader = Reader(fd, size_bytes)
    kind, format = _told(reader) if reader.size_bytes else (MediaKind.OTHER, "")
    findings = Findings(kind, format)
    if format:
        try:
            _READERS.get(format, streams.read)(reader, findings)
        except Enough as e:
            findings.problem(f"{format}: {e}")
        except OutOfSteps:
            findings.problem(f"{format}: it has too many parts, the rest was not read")
    return findings.info()


def _told(reader: Reader) -> _Told:
    """By the first bytes."""
    head = reader.at(0, HEAD_BYTES)
    for kind, formats in _BY_CLAIM.items():
        for format, claims in formats.items():
            if claims(head):
                return kind, format
    if bmff.claims(head):
        return _by_brands(reader)
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(head[8:12], (MediaKind.OTHER, ""))
    if matroska.claims(head):
        return MediaKind.VIDEO, "webm" if b"webm" in head else "mkv"
    if ogg.claims(head):
        return MediaKind.AUDIO, "opus" if b"OpusHead" in head else "ogg"
    if head[4:8] in _OLD_QUICKTIME and head[0] == 0:
        return MediaKind.VIDEO, "mov"
    if svg.claims(head) and svg.begins(reader) is not None:
        return MediaKind.IMAGE, "svg"
    return MediaKind.OTHER, ""


_BY_CLAIM: dict[MediaKind, dict[str, Callable[[bytes], bool]]] = {
    MediaKind.IMAGE: {
        "png": png_container.claims,
        "jpeg": jpeg_container.claims,
        "gif": gif_container.claims,
        "jxl": lambda head: head.startswith((jxl.CODESTREAM, jxl.CONTAINER)),
        "tiff": lambda head: head.startswith((b"II*\0", b"MM\0*")),
        "bmp": bmp.claims,
    },
    MediaKind.AUDIO: {"flac": flac.claims, "mp3": mp3.claims},
    MediaKind.MESH: {"glb": glb_container.claims},
    MediaKind.OTHER: {"safetensors": safetensors.claims},
}

_RIFF: dict[bytes, _Told] = {
    b"WEBP": (MediaKind.IMAGE, "webp"),
    b"WAVE": (MediaKind.AUDIO, "wav"),
    b"AVI ": (MediaKind.VIDEO, "avi"),
}


def _by_brands(reader: Reader) -> _Told:
    """The main brand, or one that the file says it is compatible with: an AVIF may call itself `mif1` first."""
    ftyp = reader.at(8, min(int.from_bytes(reader.at(0, 4), "big"), 4096) - 8)
    major, brands = ftyp[:4], {ftyp[at : at + 4] for at in range(0, len(ftyp), 4)}
    if brands & _PICTURES:
        return MediaKind.IMAGE, "avif"
    if major in _HEIF or (brands & _HEIF and b"isom" not in brands):
        return MediaKind.IMAGE, "heif"
    if major in _SOUND:
        return MediaKind.AUDIO, "m4a"
    return MediaKind.VIDEO, "mov" if major == _QUICKTIME else "mp4"
