"""What is known of each program: where its files are, what beside them is not worth bringing, and which of them grow.

Folders and habits come from the programs' own sources (A1111/Forge modules/shared_options.py, SD.Next modules/image/save.py,
ComfyUI folder_paths.py, InvokeAI image_files_disk.py, Fooocus private_logger.py, SwarmUI Session.cs); the places under
/workspace from the vast.ai base images and RunPod's official templates, as of mid-2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from forged.model.target import TargetType

_EVERYWHERE = ("*.tmp", ".ipynb_checkpoints/", ".rsync-tmp/", ".rsync-partial/")
"""`*.tmp`: A1111 and Forge write under that name, then rename. The others are the leavings of Jupyter and rsync."""


@dataclass(frozen=True, slots=True)
class Preset:
    """The defaults of a type. Keys of the target take the place of these, but for `exclude`, which adds to them."""

    path: str = ""
    """Absolute, at the source; empty where a type has no usual place and the target must name it."""
    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = _EVERYWHERE
    mutable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownFolder:
    """A place where a program's outputs may be: absolute at the source; `*` stands for any part of one name."""

    type: TargetType
    path: str


_OUTPUTS = (
    KnownFolder(TargetType.COMFYUI, "ComfyUI/output"),
    KnownFolder(TargetType.FORGE, "stable-diffusion-webui-forge/outputs"),
    KnownFolder(TargetType.FORGE, "stable-diffusion-webui-forge/log/images"),
    KnownFolder(TargetType.FORGE, "stable-diffusion-webui-reForge/outputs"),
    KnownFolder(TargetType.A1111, "stable-diffusion-webui/outputs"),
    KnownFolder(TargetType.A1111, "stable-diffusion-webui/log/images"),
    KnownFolder(TargetType.SWARMUI, "SwarmUI/Output"),
    KnownFolder(TargetType.SWARMUI, "SwarmUI/dlbackend/comfy/ComfyUI/output"),
    KnownFolder(TargetType.INVOKEAI, "InvokeAI*/outputs"),
    KnownFolder(TargetType.INVOKEAI, "invokeai/outputs"),
    KnownFolder(TargetType.FOOOCUS, "Fooocus/outputs"),
    KnownFolder(TargetType.SDNEXT, "sdnext/outputs"),
    KnownFolder(TargetType.SDNEXT, "automatic/outputs"),
    KnownFolder(TargetType.GENERIC, "kohya_ss/outputs"),
    KnownFolder(TargetType.GENERIC, "ai-toolkit/output"),
)

_ROOTS = ("/workspace", "/opt", "/root", "/home/*")
"""Where programs are unpacked: rented boxes, images of their own, a login's home. The likeliest first."""

_RENTED_FOLDERS = tuple(known.path for known in _OUTPUTS if "*" not in known.path)
_RENTED = Preset(
    "/workspace",
    folders=_RENTED_FOLDERS,
    exclude=(*_EVERYWHERE, "*.swarmpreview.*", "thumbnails/"),
    mutable=("log.html", "log.csv"),
)
"""A rented box can run any of them, so each program's folder is asked for; most of them will not be there."""

_PRESETS = MappingProxyType(
    {
        TargetType.GENERIC: Preset(),
        TargetType.FORGE: Preset("/workspace/stable-diffusion-webui-forge/outputs", mutable=("log.csv",)),
        TargetType.A1111: Preset("/workspace/stable-diffusion-webui/outputs", mutable=("log.csv",)),
        TargetType.COMFYUI: Preset("/workspace/ComfyUI/output"),
        TargetType.SWARMUI: Preset("/workspace/SwarmUI/Output", exclude=(*_EVERYWHERE, "*.swarmpreview.*")),
        TargetType.INVOKEAI: Preset("/workspace/invokeai/outputs", exclude=(*_EVERYWHERE, "thumbnails/")),
        TargetType.FOOOCUS: Preset("/workspace/Fooocus/outputs", mutable=("log.html",)),
        TargetType.SDNEXT: Preset("/workspace/sdnext/outputs"),
        TargetType.VASTAI: _RENTED,
        TargetType.RUNPOD: _RENTED,
    }
)


def preset(type_: TargetType) -> Preset:
    """What is known of that program."""
    return _PRESETS[type_]


def known_folders() -> tuple[KnownFolder, ...]:
    """Every place worth a look when a box is probed, the likeliest first."""
    return tuple(KnownFolder(known.type, f"{root}/{known.path}") for root in _ROOTS for known in _OUTPUTS)
