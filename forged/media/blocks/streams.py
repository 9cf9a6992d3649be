"""Video and sound, through PyAV: tags of the container and of its streams, duration, size.

FFmpeg is told what it reads and never guesses, so that no playlist makes it open other files; it may look at the first frames to
know what they are. PyAV is imported when the first such file comes: it takes 30 MB and 0.1 s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader
from forged.model.media import MediaKind

if TYPE_CHECKING:
    from av.container import InputContainer

_DEMUXERS = {
    **{"mp4": "mov", "mov": "mov", "m4a": "mov", "webm": "matroska", "mkv": "matroska", "avi": "avi"},
    **{"mp3": "mp3", "flac": "flac", "opus": "ogg", "ogg": "ogg"},
}
"""By our own word for the format."""

_OPTIONS = {
    "probesize": str(1 << 20),
    "analyzeduration": str(1_000_000),
    "max_streams": "64",
    "protocol_whitelist": "none",
    "export_xmp": "1",
}
"""Of FFmpeg (libavformat/options_table.h). Bytes and microseconds that it may look at beyond the header; streams (its default is
1000); and nothing else is opened, whatever the file names. XMP of MP4 is a tag like others."""

_MOST_READ_BYTES = 32 << 20
"""That FFmpeg may read of one file. The indexes at the end of long films have some megabytes."""

_OF_THE_BOXES = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "language", "handler_name", "vendor_id", "duration", "variant_bitrate"}
)
"""What FFmpeg reports as tags and nobody wrote: file type, track headers, statistics."""

_MICROSECONDS = 1_000_000


class _File:
    """A descriptor as PyAV wants it. Reads with pread within the announced size, and remembers when the disk was in trouble: FFmpeg
    reports that and a broken file by the same numbers."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        self._fd = fd
        self._size_bytes = size_bytes
        self._at = 0
        self._left_bytes = _MOST_READ_BYTES
        self.trouble: OSError | None = None

    def read(self, count: int) -> bytes:
        """The next bytes; none where there are no more, or where enough were read."""
        count = max(min(count, self._size_bytes - self._at, self._left_bytes), 0)
        try:
            data = os.pread(self._fd, count, self._at) if count else b""
        except OSError as e:
            self.trouble = e
            data = b""
        self._at += len(data)
        self._left_bytes -= len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To anywhere from the beginning on, also beyond the end."""
        self._at = max(offset + (0, self._at, self._size_bytes)[whence], 0)
        return self._at

    def tell(self) -> int:
        return self._at


def read(reader: Reader, findings: Findings) -> None:
    """What is broken is a problem. Raises OSError where the disk is in trouble."""
    import av

    av.logging.set_level(None)
    file = _File(reader.fd, reader.size_bytes)
    demuxer = _DEMUXERS[findings.format]
    try:
        # Latin-1 gives back every byte: which characters they are is decided here, not there.
        with av.open(file, "r", format=demuxer, container_options=_OPTIONS, metadata_encoding="latin-1") as container:
            _read(container, findings)
    except av.FFmpegError as e:
        findings.problem(f"{findings.format}: FFmpeg says: {e.strerror}")
    if file.trouble is not None:
        raise file.trouble


def _read(container: InputContainer, findings: Findings) -> None:
    video = next((stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic), None)
    if video is not None:
        findings.kind = MediaKind.VIDEO
        if video.codec_context is not None:  # there is none where FFmpeg has no decoder
            findings.width, findings.height = video.codec_context.width, video.codec_context.height
        findings.fps = float(video.average_rate) if video.average_rate else None
        findings.frames = video.frames or None
    elif container.streams.audio:
        findings.kind = MediaKind.AUDIO
    if container.duration is not None:
        findings.duration_s = container.duration / _MICROSECONDS
    for key, text in _tags(container):
        findings.text(f"{findings.format}/{decoded(key.encode('latin-1'))}", decoded(text.encode("latin-1")))


def _tags(container: InputContainer) -> Iterator[tuple[str, str]]:
    """Those of the container, then of its streams (Opus has all of its there). What is told twice is told once."""
    seen: set[tuple[str, str]] = set()
    for tags in (container.metadata, *(stream.metadata for stream in container.streams)):
        for pair in tags.items():
            if pair[0].lower() not in _OF_THE_BOXES and pair not in seen:
                seen.add(pair)
                yield pair
