"""Small real media files, made by the programs that make them in the field: Pillow, and ffmpeg through PyAV."""

from __future__ import annotations

import functools
import io
import random
import struct
import wave

import av
from PIL import Image


class Disk(io.RawIOBase):
    """A file as its writer leaves it after each single write, kept in memory."""

    def __init__(self, written: bytearray | None = None, states: list[bytes] | None = None) -> None:
        self.written = bytearray() if written is None else written
        self.states = [] if states is None else states
        self._at = 0

    def reopened(self, *_: object) -> Disk:
        """A second descriptor on the same file, as faststart takes one to shift the data."""
        return Disk(self.written, self.states)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, len(self.written))[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = bytes(self.written[self._at : None if size < 0 else self._at + size])
        self._at += len(data)
        return data

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.written.extend(bytes(max(0, self._at - len(self.written))))
        self.written[self._at : self._at + len(data)] = data
        self._at += len(data)
        self.states.append(bytes(self.written))
        return len(data)


def film(form: str, codec: str, options: dict[str, str], frames: int = 12, side: int = 48) -> Disk:
    """Noise, so that little of the file is like the rest of it."""
    disk = Disk()
    with av.open(disk, "w", format=form, options=options, io_open=disk.reopened) as container:
        stream = container.add_stream(codec, rate=24)
        stream.width = stream.height = side
        stream.pix_fmt = {"gif": "rgb8", "apng": "rgb24"}.get(form, "yuv420p")
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_image(noise(side, number))))
        container.mux(stream.encode())
    return disk


def sound(form: str, codec: str, frames: int = 40) -> Disk:
    """Mono noise at 48 kHz."""
    disk, dice = Disk(), random.Random(1)
    with av.open(disk, "w", format=form) as container:
        stream = container.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=48_000)
        for number in range(frames):
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.sample_rate, frame.pts = 48_000, number * 960
            frame.planes[0].update(dice.randbytes(frame.planes[0].buffer_size))
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        container.mux(stream.encode())
    return disk


def noise(side: int, seed: int = 0) -> Image.Image:
    return Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(side * side * 3))


def picture(form: str, **options: object) -> bytes:
    """One noisy picture as Pillow writes it."""
    out = io.BytesIO()
    noise(48).save(out, form, **options)  # type: ignore[arg-type]
    return out.getvalue()


def animation(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    frames = [noise(24, seed) for seed in range(4)]
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=100, loop=0, **options)  # type: ignore[arg-type]
    return out.getvalue()


def jpeg_with_preview() -> bytes:
    """A preview in the EXIF segment has an end-of-image marker of its own, long before the picture's."""
    whole, preview = picture("JPEG"), b"Exif\0\0" + picture("JPEG", quality=30)
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview + whole[2:]


def wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setparams((1, 2, 8_000, 0, "NONE", ""))
        writer.writeframes(random.Random(1).randbytes(4_000))
    return out.getvalue()


def glb() -> bytes:
    scene = b'{"asset":{"version":"2.0"}}     '
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(scene), len(scene), 0x4E4F534A) + scene


@functools.cache
def whole_files() -> dict[str, bytes]:
    """One file of each kind that announces its end, by a name for the test report."""
    return {
        "png": picture("PNG"),
        "apng": animation("PNG"),
        "jpeg": picture("JPEG"),
        "jpeg progressive": picture("JPEG", progressive=True, quality=95),
        "jpeg with preview": jpeg_with_preview(),
        "webp": picture("WEBP"),
        "webp lossless": picture("WEBP", lossless=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
        "webp animated": animation("WEBP"),
        "gif": picture("GIF"),
        "gif animated": animation("GIF"),
        "avif": picture("AVIF"),
        "mp4": bytes(film("mp4", "mpeg4", {}).written),
        "mp4 faststart": bytes(film("mp4", "mpeg4", {"movflags": "faststart"}).written),
        "mov": bytes(film("mov", "mpeg4", {}).written),
        "webm": bytes(film("webm", "libvpx", {}).written),
        "matroska": bytes(film("matroska", "mpeg4", {}).written),
        "ogg opus": bytes(sound("opus", "libopus").written),
        "flac": bytes(sound("flac", "flac").written),
        "mp3": bytes(sound("mp3", "libmp3lame").written),
        "m4a": bytes(sound("ipod", "aac").written),
        "wav": wav(),
        "glb": glb(),
    }
