"""What belongs together: the files that a program writes beside a picture or a film, under a name with the same beginning.

A1111, Forge and reForge write `00001-42.txt` after the picture, and for one of more than 4 MB a `.jpg` a moment later
(modules/images.py, save_image); SD.Next its `.txt` before it. SwarmUI puts `.swarm.json` beside a film, or a picture that can hold
no metadata (Session.cs, OutputMetadataTracker.cs; `.txt` and `.metadata.js` by other settings). VideoHelperSuite for ComfyUI
writes `X_00001.png` (the first frame, with the workflow in it), then `X_00001.mp4`, then `X_00001-audio.mp4`
(videohelpersuite/nodes.py). InvokeAI and Fooocus write one file for each picture.
"""

from __future__ import annotations

from types import MappingProxyType

from forged.model.paths import SourcePath
from forged.model.target import TargetType

_PICTURES = (b".png", b".jpg", b".jpeg", b".webp", b".avif", b".jxl", b".gif")
_FILMS = (b".mp4", b".webm", b".mkv", b".mov")

_A1111 = (*_PICTURES, *_FILMS, b".txt")
_COMFYUI = (*_PICTURES, *_FILMS, *(b"-audio" + film for film in _FILMS), b".txt", b".json")
_SWARMUI = (*_COMFYUI, b".swarm.json", b".metadata.js")

_ENDINGS = MappingProxyType(
    {
        TargetType.FORGE: _A1111,
        TargetType.A1111: _A1111,
        TargetType.SDNEXT: (*_A1111, b".json"),
        TargetType.COMFYUI: _COMFYUI,
        TargetType.SWARMUI: _SWARMUI,
        TargetType.INVOKEAI: (),
        TargetType.FOOOCUS: (),
        TargetType.GENERIC: _SWARMUI,
        TargetType.VASTAI: _SWARMUI,
        TargetType.RUNPOD: _SWARMUI,
    }
)
"""What may follow the beginning that names have in common. Where any program may run, all of it."""


def companions(type_: TargetType, path: SourcePath) -> tuple[SourcePath, ...]:
    """The names that files which belong to this one would have, itself not among them; most will not be there.

    Belonging is mutual: `b` is among the companions of `a` exactly if `a` is among those of `b`.
    """
    endings = _ENDINGS[type_]
    folder, slash, name = path.rpartition(b"/")
    beginning = _beginning(name, endings)
    if not beginning:
        return ()
    names = [beginning + ending for ending in endings]
    others = [other for other in names if other != name and _beginning(other, endings) == beginning]
    return tuple(SourcePath(folder + slash + other) for other in others)


def _beginning(name: bytes, endings: tuple[bytes, ...]) -> bytes:
    """What a name has in common with those that belong to it: all but the longest ending. Empty where there is none."""
    ending = max((ending for ending in endings if name.endswith(ending)), key=len, default=name)
    return name.removesuffix(ending)
