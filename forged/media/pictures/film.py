"""One frame of a film that shows what it is of, through PyAV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from forged.kit.pread import PreadFile
from forged.media.base import Opened
from forged.media.pictures.still import SIDE_PIXELS, check_size
from forged.media.pictures.words import PictureError

DEMUXERS = {"mp4": "mov", "mov": "mov", "m4v": "mov", "webm": "matroska", "mkv": "matroska", "matroska": "matroska", "avi": "avi"}
"""FFmpeg is told what it is, by what our own reader found: it never guesses, and no playlist makes it open other files."""

PLACES = (0.1, 0.3, 0.6, 0.0)
"""Where to look, as parts of the duration: the first frame is often black. 10 % in there is mostly a picture."""

MOST_PACKETS = 400
"""Read at each place until a frame comes; films of generators have a keyframe in every 12 to 250."""

DARK = 20
"""Mean brightness up to which a frame counts as black; video black is 16."""


def frame(file: Opened, container: str) -> Image.Image:
    """RGB, at most SIDE_PIXELS a side, upright and with square pixels. `container` is the format as `MediaInfo` names it.

    Raises PictureError where there is no such film, no picture in it, or a picture too large.
    """
    demuxer = DEMUXERS.get(container)
    if demuxer is None:
        raise PictureError(f"no frames are taken of {container or 'this format'}")
    av.logging.set_level(None)
    try:
        raw = io.BufferedReader(PreadFile(file.fd, file.size_bytes), 1 << 16)
        with av.open(raw, "r", format=demuxer, metadata_errors="replace") as opened:
            return _shown(opened)
    except av.FFmpegError as e:
        raise PictureError(f"FFmpeg: {e.strerror}") from e
    except (ValueError, OSError) as e:  # it was sent to a place before the beginning, and other nonsense
        raise PictureError(f"FFmpeg: {e}") from e


def _shown(container: InputContainer) -> Image.Image:
    if not container.streams.video:
        raise PictureError("it has no picture")
    stream = container.streams.video[0]
    if stream.codec_context is None:  # of a film cut early, whatever its types say
        raise PictureError("its codec is not known")
    check_size(stream.codec_context.width, stream.codec_context.height)
    stream.thread_type, stream.codec_context.thread_count = "NONE", 1
    best: Image.Image | None = None
    for found in _frames(container, stream):
        image = _image(found, stream)
        if _brightness(image) > DARK:
            return image
        best = best or image
    if best is None:
        raise PictureError("no frame of it can be decoded")
    return best  # a night


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """One from each place that can be reached, a keyframe mostly."""
    duration_us = container.duration or 0
    for place in PLACES if duration_us > 0 else (0.0,):
        try:
            container.seek(int(duration_us * place))
            found = _next(container, stream)
        except av.FFmpegError:
            continue
        if found is not None:
            yield found


def _next(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    for packet in islice(container.demux(stream), MOST_PACKETS):
        for found in packet.decode():
            check_size(found.width, found.height)
            return found
    return None


def _image(found: VideoFrame, stream: VideoStream) -> Image.Image:
    """Scaled before it becomes RGB: a frame is never there twice in full size."""
    ratio = stream.sample_aspect_ratio or Fraction(1)
    wide = float(found.width * ratio) if Fraction(1, 8) <= ratio <= 8 else float(found.width)
    scale = min(SIDE_PIXELS / max(wide, found.height), 1.0)
    size = max(round(wide * scale), 1), max(round(found.height * scale), 1)
    small = found.reformat(width=size[0], height=size[1], format="rgb24", interpolation="AREA")
    image: Image.Image = small.to_image()  # type: ignore[no-untyped-call]
    return image.rotate(found.rotation, expand=True) if found.rotation else image


def _brightness(image: Image.Image) -> int:
    return image.convert("L").resize((1, 1), Image.Resampling.BOX).tobytes()[0]
