"""A worker's real work on pictures, with toys for what reads texts: the first bytes say the format, `prompt=` the prompt."""

from __future__ import annotations

import os
from collections.abc import Sequence

from forged.media.base import Found, Opened, Wanted
from forged.media.worker.looking import Look, Parts
from forged.model.media import Generation, MediaInfo, MediaKind, RawBlock

MAGIC = {
    b"\x89PNG": (MediaKind.IMAGE, "png"),
    b"\xff\xd8": (MediaKind.IMAGE, "jpeg"),
    b"RIFF": (MediaKind.IMAGE, "webp"),
    b"GIF8": (MediaKind.IMAGE, "gif"),
    b"\x1aE\xdf\xa3": (MediaKind.VIDEO, "webm"),
}


def read(fd: int, size_bytes: int) -> MediaInfo:
    head = os.pread(fd, min(size_bytes, 4096), 0)
    if head.startswith(b"broken"):
        raise LookupError("a mistake of ours\nwith two lines")
    kind, form = MediaKind.OTHER, ""
    if head[4:8] == b"ftyp":
        kind, form = (MediaKind.IMAGE, "avif") if head[8:12] == b"avif" else (MediaKind.VIDEO, "mp4")
    for magic, found in MAGIC.items():
        kind, form = found if head.startswith(magic) else (kind, form)
    _, _, text = head.partition(b"prompt=")
    raw = (RawBlock("toy/prompt", text.split(b";")[0].decode(errors="replace")),) if text else ()
    return MediaInfo(kind, form, raw=raw)


def generation_of(blocks: Sequence[RawBlock]) -> Generation | None:
    if any(block.text == "broken" for block in blocks):
        raise MemoryError
    return Generation("toy", prompt=blocks[0].text, origins={"prompt": blocks[0].place}) if blocks else None


def stealth_text(width: int, height: int, rgba: bytes) -> str | None:
    return "hidden" if rgba[:4] == b"\x01\x02\x03\xfe" else None


PARTS = Parts(read, generation_of, stealth_text)


def look(file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
    return Look(PARTS, file, companions, wanted).found()
