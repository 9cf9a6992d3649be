"""Which files are looked into, and what is then to be done for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forged.model.media import Copy, MediaInfo, MediaKind
from forged.model.paths import SourcePath
from forged.model.target import DuplicatesMode, MediaPolicy, TargetType
from forged.rules.companions import companions

MOST_TRIES = 3
"""So often looking into a file may be begun without an end: it took the whole program along, or a power cut came three times."""

_TEXTS = (
    b".txt",
    b".json",
    b".js",
    b".csv",
    b".html",
    b".htm",
    b".log",
    b".md",
    b".xml",
    b".yaml",
    b".yml",
    b".xmp",
    b".css",
    b".py",
)
_UNFINISHED = (b".tmp", b".part", b".partial", b".crdownload")
_WEIGHTS = (b".safetensors", b".ckpt", b".pt", b".pth", b".bin", b".gguf", b".onnx", b".zip", b".tar", b".gz", b".7z")
_NOT_MEDIA = (*_TEXTS, *_UNFINISHED, *_WEIGHTS)
"""What is no picture, film, sound or mesh, whatever its bytes: texts that tell of others, logs and lists that grow, what is not
finished, models and archives. All else is looked into and told by its bytes."""

_TELLS = b".swarm.json"
"""SwarmUI's text beside what can hold none (Session.cs)."""

_MAY_BE_MUTE = (b".mp4", b".webm", b".mkv", b".mov", b".gif", b".webp")
"""Beside these VideoHelperSuite puts the first frame as a PNG with all in it (videohelpersuite/nodes.py)."""

_FIRST_FRAME = b".png"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to find out about each file."""

    metadata: bool
    thumbnail: bool
    likeness: bool


def wishes(policy: MediaPolicy) -> Wishes:
    """What the owner wants. A sidecar needs metadata."""
    return Wishes(policy.metadata or policy.xmp, policy.thumbnails, policy.phash)


def is_on(policy: MediaPolicy) -> bool:
    """Whether files are looked into at all. Duplicates are told by what was looked into, so they count."""
    return policy.metadata or policy.xmp or policy.thumbnails or policy.phash or policy.duplicates is not DuplicatesMode.OFF


def is_examined(policy: MediaPolicy, path: SourcePath, size_bytes: int) -> bool:
    """Whether a file that has landed is to be looked into."""
    return is_on(policy) and size_bytes > 0 and not path.lower().endswith(_NOT_MEDIA)


def told_by(type_: TargetType, path: SourcePath) -> tuple[SourcePath, ...]:
    """The files beside this one that may say more of it, if they are there."""
    endings = (_TELLS, _FIRST_FRAME) if path.lower().endswith(_MAY_BE_MUTE) else (_TELLS,)
    return tuple(other for other in companions(type_, path) if other.endswith(endings))


def tells_of(type_: TargetType, path: SourcePath) -> tuple[SourcePath, ...]:
    """The files that this one says more of: if it lands after them, they have to be looked into again."""
    if not path.endswith(_TELLS):
        return ()
    return tuple(other for other in companions(type_, path) if not other.endswith(_NOT_MEDIA))


def wants_sidecar(policy: MediaPolicy, info: MediaInfo) -> bool:
    """A file that nobody can name gets none, unless it says how it was made."""
    return policy.xmp and (info.kind is not MediaKind.OTHER or info.generation is not None)


def wants_link(policy: MediaPolicy, mutable: bool, incomplete: bool) -> bool:
    """What still grows, and what is half there, keeps its bytes for itself."""
    return policy.duplicates in (DuplicatesMode.REFLINK, DuplicatesMode.HARDLINK) and not mutable and not incomplete


def first(copies: Sequence[Copy]) -> Copy | None:
    """The one whose bytes the others share: the oldest landing, then the first path at home."""
    return min(copies, key=lambda copy: (copy.landed_at_ns, copy.home, copy.path), default=None)
