"""Media info: what is known of a file's inside, and what of it came from where.

All texts are Unicode without lone surrogates (they become U+FFFD when a text is read), so that every border can carry them. NUL and
control characters stay: they are what the file says.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from msgspec import Struct, field

from forged.model.events import NewEvent
from forged.model.manifest import ManifestName, ManifestRow
from forged.model.paths import HomePath, SourcePath


class MediaKind(enum.Enum):
    """What a file is for people, known by its content and never by its name."""

    IMAGE = "image"
    """Also a moving one without sound: GIF, APNG, animated WebP."""
    VIDEO = "video"
    AUDIO = "audio"
    MESH = "mesh"
    OTHER = "other"


class RawBlock(Struct, frozen=True):
    """One text as a file carries it, decoded and otherwise untouched, and where it was found."""

    place: str
    """Container, place and key, by slashes: `png/tEXt/parameters`, `png/comf/prompt`, `exif/UserComment`, `exif/Make`,
    `gif/comment`, `mp4/comment`, `webm/PROMPT`, `flac/prompt`, `swarm.json`."""
    text: str

    @property
    def key(self) -> str:
        """What the writer called it: the last part of the place."""
        return self.place.rsplit("/", 1)[-1]


class Lora(Struct, frozen=True):
    """A LoRA (or what is applied like one) that took part."""

    name: str
    weight: float | None = None
    hash: str | None = None


class Sampling(Struct, frozen=True):
    """One pass of a sampler on the way to the saved output, in the order of the way."""

    id: str
    """The node of the graph."""
    seed: str | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler: str | None = None
    scheduler: str | None = None
    denoise: float | None = None
    model: str | None = None


class Generation(Struct, frozen=True):
    """How a file was made, as its raw blocks say. None: they do not say. What is in no block is never filled in.

    Of several passes (hires, video with two models) the flat fields describe the first one on the way to the saved output.
    """

    generator: str
    """`A1111`, `Forge`, `reForge`, `SD.Next`, `ComfyUI`, `InvokeAI`, `NovelAI`, `Fooocus`, `SwarmUI`, `Draw Things` …"""
    version: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    """Empty where the generator says that there is none."""
    seed: str | None = None
    """Decimal digits as the file has them: seeds go to 2^64-1."""
    steps: int | None = None
    cfg: float | None = None
    sampler: str | None = None
    scheduler: str | None = None
    model: str | None = None
    model_hash: str | None = None
    width: int | None = None
    height: int | None = None
    """The size that the generator was asked for (its first pass), not that of the picture."""
    denoise: float | None = None
    clip_skip: int | None = None
    vae: str | None = None
    loras: tuple[Lora, ...] = ()
    samplings: tuple[Sampling, ...] = ()
    prompts: tuple[str, ...] = ()
    """Where several texts were combined and no single one is the prompt: all of them."""
    settings: tuple[tuple[str, str], ...] = ()
    """Everything else that the generator named, in its words and its order."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """For each field that is filled, its name and the `place` of the block it was read from."""
    graph: str | None = None
    """The place of ComfyUI's API graph, where there is one."""
    workflow: str | None = None
    """The place of ComfyUI's (or InvokeAI's) workflow as its editor has it, where there is one."""


class Likeness(Struct, frozen=True):
    """What finds the same picture in other bytes."""

    dhash: bytes | None = None
    """8 bytes, 64 bits: each says whether a pixel is brighter than its right neighbour in a picture of 9 by 8. Copies that were
    encoded or scaled anew differ in a bit or two, other pictures in 15 and more (22 pictures, 2026-11)."""
    pixels_sha256: bytes | None = None
    """Of width, height and the decoded pixels: equal for the same picture with other metadata."""


class MediaInfo(Struct, frozen=True):
    """What is known of one file's inside. Unknown stays None."""

    kind: MediaKind
    format: str
    """`png`, `jpeg`, `webp`, `avif`, `gif`, `mp4`, `webm`, `flac`, `mp3`, `opus`, `svg`, … ; empty: none of ours."""
    width: int | None = None
    height: int | None = None
    """Pixels, by the header."""
    duration_s: float | None = None
    fps: float | None = None
    frames: int | None = None
    generation: Generation | None = None
    raw: tuple[RawBlock, ...] = ()
    likeness: Likeness = Likeness()
    problems: tuple[str, ...] = ()
    """What could not be read, in words; the rest holds all the same."""


class ToExamine(Struct, frozen=True):
    """A file at home that waits to be looked into: one version of a path. A newer one, which lies elsewhere, waits for itself."""

    manifest: ManifestName
    row: ManifestRow
    """The version of it, as it was remembered when this was asked."""
    waits_since_ns: int
    tries: int = 0
    """How often looking into it has been begun before and did not end: a file that takes the whole program along is given up."""
    again: bool = False
    """Something was found in this version before."""
    current: bool = True
    """None has come after it: what lies beside it now was written for this version."""

    @property
    def path(self) -> SourcePath:
        return self.row.path

    @property
    def sha256(self) -> bytes:
        return self.row.sha256

    @property
    def home(self) -> HomePath:
        return self.row.home


class Owed(enum.Enum):
    """What has yet to be done for a file that was looked into; remembered, so that a restart does not forget it."""

    SIDECAR = "sidecar"
    """exiftool was not there, or would not take it."""
    LINK = "link"
    """It may share its bytes with an equal one at home."""


class Examined(Struct, frozen=True):
    """What was found out about one of them."""

    file: ToExamine
    info: MediaInfo
    at_ns: int
    owes: frozenset[Owed] = frozenset()
    events: tuple[NewEvent, ...] = ()
    """What is to be told of it."""


class Known(Struct, frozen=True):
    """What is remembered of a file at home that was looked into."""

    manifest: ManifestName
    path: SourcePath
    home: HomePath
    sha256: bytes
    examined_at_ns: int
    owes: frozenset[Owed]
    info: MediaInfo


class Copy(Struct, frozen=True):
    """A file at home by its content. Two of them with one home, of manifests that share a destination, are the same file."""

    manifest: ManifestName
    path: SourcePath
    home: HomePath
    sha256: bytes
    size_bytes: int
    landed_at_ns: int


class Equals(Struct, frozen=True):
    """How many files at home have one content, of this size each."""

    sha256: bytes
    size_bytes: int
    files: int


class Alike(Struct, frozen=True):
    """A picture that looks like another: in so many of 64 bits they differ."""

    copy: Copy
    bits: int
