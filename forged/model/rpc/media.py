"""`media.*`: what is known of files' insides."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from forged.model.rpc.basic import Path
from forged.model.rpc.files import ManifestFile


class Lora(TypedDict):
    """A LoRA that took part; null where the file does not say."""

    name: str
    weight: float | None
    hash: str | None


class Sampling(TypedDict):
    """One pass of a sampler on the way to the saved output. `id`: the node of the graph."""

    id: str
    seed: str | None
    steps: int | None
    cfg: float | None
    sampler: str | None
    scheduler: str | None
    denoise: float | None
    model: str | None


class Setting(TypedDict):
    """Something else that the generator named, in its words."""

    name: str
    value: str


class Generation(TypedDict):
    """How a file was made (forged.model.media.Generation): null where it does not say. Seeds are text; they go to 2^64-1.

    `width` and `height` are what the generator was asked for. `origins`: for each field that is filled, the `place` of the raw
    block it was read from. `graph` and `workflow`: the places of ComfyUI's, where there are any.
    """

    generator: str
    version: str | None
    prompt: str | None
    negative_prompt: str | None
    seed: str | None
    steps: int | None
    cfg: float | None
    sampler: str | None
    scheduler: str | None
    model: str | None
    model_hash: str | None
    width: int | None
    height: int | None
    denoise: float | None
    clip_skip: int | None
    vae: str | None
    loras: list[Lora]
    samplings: list[Sampling]
    prompts: list[str]
    settings: list[Setting]
    origins: dict[str, str]
    graph: str | None
    workflow: str | None


class RawBlock(TypedDict):
    """A text as the file carries it. `text` only where it was asked for (`raw`), cut where the answer would be too large."""

    place: str
    chars: int
    text: NotRequired[str]


class MediaInfo(TypedDict):
    """What is known of a file's inside (forged.model.media.MediaInfo)."""

    kind: Literal["image", "video", "audio", "mesh", "other"]
    format: str
    width: int | None
    height: int | None
    duration_s: float | None
    fps: float | None
    frames: int | None
    generation: Generation | None
    raw: list[RawBlock]
    dhash: str | None
    pixels_sha256: str | None
    problems: list[str]


class Copy(Path):
    """Another file at home with the same bytes. `home` is its whole path, safe to show."""

    target: str
    home: str


class AlikeFile(Copy):
    """A picture that looks the same. `bits`: in how many of 64 their perceptual hashes differ."""

    bits: int


class MediaShown(TypedDict):
    """`media.show`. `home` is the whole path at home. `examined_at` and `media` are null while it waits to be looked into
    (`waiting`), and where nobody asked for it (`[media]` is off, or it is a log or a text).

    `sidecar` and `thumbnail` are whole paths, null where there is none.
    """

    success: bool
    target: str
    file: ManifestFile
    home: str
    home_b64: NotRequired[str]
    waiting: bool
    examined_at: str | None
    media: MediaInfo | None
    sidecar: str | None
    thumbnail: str | None
    copies: list[Copy]
    alike: list[AlikeFile]


class FoundFile(Copy):
    """A file that `media.find` found. Null: it does not say, or nobody has looked into it. `prompt` may be its beginning only.

    `home_b64`: where `home` is not the path itself, since that would not be safe to show.
    """

    home_b64: NotRequired[str]
    size: int
    sha256: str
    mtime: str
    landed_at: str
    kind: Literal["image", "video", "audio", "mesh", "other"] | None
    width: int | None
    height: int | None
    generator: str | None
    model: str | None
    seed: str | None
    prompt: str | None


class FoundPage(TypedDict):
    """`media.find`: newest first."""

    success: bool
    files: list[FoundFile]
    next_cursor: str | None


class MediaRerun(TypedDict):
    """`media.rerun`: everything that is home waits to be looked into again. `files`: how many."""

    success: bool
    message: str
    files: int


class DuplicateFile(Copy):
    """One of several files with equal bytes. `shares`: its target lets equal files share their bytes (`duplicates`), where the
    file system can."""

    size: int
    landed_at: str
    shares: bool


class Duplicates(TypedDict):
    """A group of equal files, that which came first at its beginning."""

    sha256: str
    files: list[DuplicateFile]


class DuplicatesPage(TypedDict):
    """`media.duplicates`."""

    success: bool
    groups: list[Duplicates]
    next_cursor: str | None
