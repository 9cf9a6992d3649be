"""The programs forged knows: what their folders are called, which trees below them hold outputs, and where they are unpacked.

Folders and habits come from the programs' own sources, as of mid-2026: A1111, Forge and reForge modules/shared_options.py (the Save
button has a tree of its own, `log/images`), Forge Neo the same with `outputs/videos` and `outputs/images`, SD.Next
modules/image/save.py, ComfyUI folder_paths.py, InvokeAI image_files_disk.py, Fooocus private_logger.py, SwarmUI Session.cs and
its installers (`dlbackend/ComfyUI` on Linux, `dlbackend/comfy/ComfyUI` on Windows and in older images), kohya sd-scripts
train_util.sample_images, ai-toolkit BaseSDTrainProcess. The places are those of the vast.ai base images, ai-dock's images (`/opt`,
linked into the workspace, or the other way round) and RunPod's official templates (the top of the disk, moved to the workspace).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forged.model.target import TargetType


@dataclass(frozen=True, slots=True)
class Program:
    """One program. `apps`: what its own folder is called, the usual name first; `trees`: where below it outputs are."""

    type: TargetType
    apps: tuple[str, ...]
    trees: tuple[str, ...]
    include: tuple[str, ...] = ()
    """What of the trees is media, where most is not: trainers keep their checkpoints beside the samples."""


PROGRAMS = (
    Program(TargetType.COMFYUI, ("ComfyUI",), ("output",)),
    Program(
        TargetType.FORGE,
        ("stable-diffusion-webui-forge", "stable-diffusion-webui-reForge", "sd-webui-forge-classic"),
        ("outputs", "log/images"),
    ),
    Program(TargetType.A1111, ("stable-diffusion-webui",), ("outputs", "log/images")),
    Program(TargetType.SWARMUI, ("SwarmUI",), ("Output", "dlbackend/ComfyUI/output", "dlbackend/comfy/ComfyUI/output")),
    Program(TargetType.INVOKEAI, ("invokeai", "InvokeAI"), ("outputs",)),
    Program(TargetType.FOOOCUS, ("Fooocus",), ("outputs",)),
    Program(TargetType.SDNEXT, ("sdnext", "automatic"), ("outputs",)),
    Program(TargetType.GENERIC, ("kohya_ss",), ("outputs",), ("sample/",)),
    Program(TargetType.GENERIC, ("ai-toolkit",), ("output",), ("samples/",)),
)
"""The likeliest first: where one folder has several names, it comes home under the first."""

WORKSPACE = "/workspace"

ELSEWHERE = {"opt": "/opt", "root": "/root", "disk": "", "runpod-volume": "/runpod-volume"}
"""Where programs are beside the workspace: what their files' names begin with, and the folder. A login's home is added to these."""


@dataclass(frozen=True, slots=True)
class App:
    """A place where a program may be: absolute at the source."""

    program: Program
    path: str

    def trees(self) -> Iterator[tuple[str, str]]:
        """Its trees: relative to it, and absolute."""
        return ((tree, f"{self.path}/{tree}") for tree in self.program.trees)


def programs_of(type_: TargetType) -> tuple[Program, ...]:
    """Those that a target of this type is about."""
    return tuple(program for program in PROGRAMS if program.type is type_)


def apps_below(folder: str) -> Iterator[App]:
    """Every program that may be unpacked in this folder (absolute; empty = the top of the disk)."""
    return (App(program, f"{folder}/{app}") for program in PROGRAMS for app in program.apps)


def homes(user: str | None) -> dict[str, str]:
    """Where a login that is not root has its own."""
    return {} if user in (None, "root") else {"home": f"/home/{user}"}


def known_apps(user: str | None = None) -> tuple[App, ...]:
    """Every place worth a look at a box, the likeliest first."""
    return tuple(app for folder in (WORKSPACE, *ELSEWHERE.values(), *homes(user).values()) for app in apps_below(folder))
