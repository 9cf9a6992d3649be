"""Video and sound: tags of the container and of its streams, as ffmpeg writes and reads them."""

from __future__ import annotations

import functools
import io
import os
import struct
import subprocess
import sys
import wave
from dataclasses import dataclass

import av
import pytest

from forged.media.blocks import streams
from forged.media.blocks.findings import Findings
from forged.media.blocks.table import read
from forged.media.containers.reader import Reader
from forged.model.media import MediaInfo, MediaKind
from tests.media.blocks.building import box, looked_into, riff_chunk
from tests.media.judging import Memory
from tests.media.making import Disk, noise, wav

PROMPT = '{"1": {"class_type": "KSampler", "inputs": {"text": "猫, café\\n", "x": NaN}}}'


@dataclass(frozen=True)
class Form:
    muxer: str
    codec: str
    format: str
    kind: MediaKind
    prompt_key: str = "prompt"
    options: tuple[tuple[str, str], ...] = ()


FORMS = {
    "mp4": Form("mp4", "mpeg4", "mp4", MediaKind.VIDEO, options=(("movflags", "use_metadata_tags"),)),
    "mp4 in front": Form("mp4", "mpeg4", "mp4", MediaKind.VIDEO, options=(("movflags", "use_metadata_tags+faststart"),)),
    "mov": Form("mov", "mpeg4", "mov", MediaKind.VIDEO, options=(("movflags", "use_metadata_tags"),)),
    "webm": Form("webm", "libvpx", "webm", MediaKind.VIDEO, "PROMPT"),
    "mkv": Form("matroska", "mpeg4", "mkv", MediaKind.VIDEO, "PROMPT"),
    "mp3": Form("mp3", "libmp3lame", "mp3", MediaKind.AUDIO),
    "flac": Form("flac", "flac", "flac", MediaKind.AUDIO),
    "opus": Form("opus", "libopus", "opus", MediaKind.AUDIO),
    "m4a": Form("ipod", "aac", "m4a", MediaKind.AUDIO, options=(("movflags", "use_metadata_tags"),)),
    "webm of sound": Form("webm", "libopus", "webm", MediaKind.AUDIO, "PROMPT"),
}


@functools.cache
def written(form: Form, prompt: str = PROMPT) -> bytes:
    """Half a second, with a prompt where ComfyUI puts it."""
    disk = Disk()
    with av.open(disk, "w", format=form.muxer, options=dict(form.options), io_open=disk.reopened) as container:
        container.metadata["prompt"] = prompt
        if form.codec in ("mpeg4", "libvpx"):
            _film(container, form.codec)
        else:
            stream = container.add_stream(form.codec, rate=48_000, layout="mono")
            stream.metadata["prompt"] = prompt
            resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=48_000)
            for number in range(25):
                frame = av.AudioFrame(format="s16", layout="mono", samples=960)
                frame.sample_rate, frame.pts = 48_000, number * 960
                frame.planes[0].update(bytes(frame.planes[0].buffer_size))
                for ready in resampler.resample(frame):
                    container.mux(stream.encode(ready))
            container.mux(stream.encode())
    return bytes(disk.written)


def _film(container: av.container.OutputContainer, codec: str) -> None:
    stream = container.add_stream(codec, rate=24)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(12):
        container.mux(stream.encode(av.VideoFrame.from_image(noise(64, number).crop((0, 0, 64, 48)))))
    container.mux(stream.encode())


def tagged(info: MediaInfo, key: str) -> list[str]:
    return [block.text for block in info.raw if block.place == f"{info.format}/{key}"]


@pytest.mark.parametrize("name", FORMS)
def test_what_ffmpeg_writes_is_read(name: str) -> None:
    form = FORMS[name]
    info = looked_into(written(form))
    assert (info.kind, info.format, info.problems) == (form.kind, form.format, ())
    assert tagged(info, form.prompt_key) == [PROMPT]
    assert info.duration_s == pytest.approx(0.5, abs=0.08)
    if form.kind is MediaKind.VIDEO:
        assert (info.width, info.height, info.fps) == (64, 48, 24.0)
        assert info.frames in (12, None)
    else:
        assert (info.width, info.height, info.fps, info.frames) == (None, None, None, None)


def test_frames_are_told_where_the_file_tells_them() -> None:
    assert looked_into(written(FORMS["mp4"])).frames == 12


def test_what_nobody_wrote_is_no_text() -> None:
    keys = {block.key.lower() for name in ("mp4", "webm") for block in looked_into(written(FORMS[name])).raw}
    assert keys == {"prompt", "encoder"}


def test_tags_that_are_not_utf_8_are_read_as_everywhere() -> None:
    data = written(FORMS["webm"], "a caf\u00e9 and a x\u00e9").replace("é".encode(), b"\xe9 ")
    assert tagged(looked_into(data), "PROMPT") == ["a caf\u00e9  and a x\u00e9 "]


def test_xmp_of_a_film() -> None:
    xmp = box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), b"<x:xmpmeta/>")
    assert tagged(looked_into(written(FORMS["mp4"]) + xmp), "xmp") == ["<x:xmpmeta/>"]


def test_a_prompt_of_megabytes() -> None:
    prompt = '{"workflow": "' + "x" * 3_000_000 + '"}'
    assert tagged(looked_into(written(FORMS["mp4"], prompt)), "prompt") == [prompt]


def test_a_wave_file() -> None:
    told = riff_chunk(b"LIST", b"INFO" + riff_chunk(b"ICMT", b"a cat\0") + riff_chunk(b"IABC", "é".encode()))
    info = looked_into(wav() + told)
    assert (info.kind, info.format, info.problems) == (MediaKind.AUDIO, "wav", ())
    assert [(block.place, block.text) for block in info.raw] == [("wav/comment", "a cat"), ("wav/IABC", "é")]
    with wave.open(io.BytesIO(wav())) as sound:
        assert info.duration_s == sound.getnframes() / sound.getframerate()


def test_a_wave_file_whose_sizes_are_odd_or_not_true() -> None:
    form = riff_chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8))
    told = riff_chunk(b"LIST", b"INFO" + riff_chunk(b"ICMT", b"odd") + riff_chunk(b"INAM", b"cat"))
    whole = b"RIFF\0\0\0\0WAVE" + form + riff_chunk(b"junk", b"odd") + told + b"data\xff\xff\xff\xff" + bytes(4000)
    assert [block.text for block in looked_into(whole).raw] == ["odd", "cat"]
    assert looked_into(whole).duration_s == 0.5
    assert looked_into(whole.replace(b"data\xff\xff\xff\xff", b"data\xff\xff\xff\x7f")).duration_s == 0.5


def test_what_is_broken_is_a_problem_and_keeps_its_kind() -> None:
    whole = written(FORMS["mp4"])
    info = looked_into(whole[: whole.index(b"moov")])
    assert (info.kind, info.format, info.raw) == (MediaKind.VIDEO, "mp4", ())
    assert info.problems == ("mp4: FFmpeg says: Invalid data found when processing input",)


def test_a_codec_that_nobody_knows_costs_its_size_alone() -> None:
    info = looked_into(written(FORMS["webm"]).replace(b"V_VP8", b"V_ZZZ"))
    assert (info.kind, info.width, info.fps) == (MediaKind.VIDEO, None, 24.0)
    assert tagged(info, "PROMPT") == [PROMPT]


def test_a_file_that_wants_to_be_read_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MOST_READ_BYTES", 100)
    info = looked_into(written(FORMS["mp4"]))
    assert (info.kind, info.raw) == (MediaKind.VIDEO, ())
    assert len(info.problems) == 1


def test_a_disk_in_trouble_is_told_and_not_taken_for_a_broken_file() -> None:
    with Memory(written(FORMS["mp4"])) as memory:
        reader = Reader(memory.fd, memory.size_bytes)
        reader.fd = os.open("/", os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="directory"):
                streams.read(reader, Findings(MediaKind.VIDEO, "mp4"))
        finally:
            os.close(reader.fd)


def test_the_descriptor_neither_moves_nor_closes() -> None:
    with Memory(written(FORMS["mp4"])) as memory:
        os.lseek(memory.fd, 7, os.SEEK_SET)
        assert read(memory.fd, memory.size_bytes) == read(memory.fd, memory.size_bytes)
        assert os.lseek(memory.fd, 0, os.SEEK_CUR) == 7


def test_a_playlist_is_no_film_and_opens_nothing() -> None:
    assert looked_into(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n").format == ""


def test_pictures_load_no_pyav_and_ffmpeg_says_nothing() -> None:
    program = (
        "import sys, os; from forged.media.blocks.table import read\n"
        "def look(data):\n"
        "    fd = os.memfd_create('x'); os.write(fd, data); read(fd, len(data)); print('av' in sys.modules)\n"
        "look(b'\\x89PNG\\r\\n\\x1a\\n'); look(b'\\xff\\xd8\\xff'); look(b'\\0\\0\\0\\x10ftypmp42' + bytes(400))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert (result.stdout.split(), result.stderr) == (["False", "False", "True"], "")
