"""What each program leaves on a box, named as the programs name it: what should come home, and what lies beside it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.media.making import film, picture

DAY = "2026-11-23"


@dataclass(frozen=True)
class Tree:
    """`wanted`: by name at home, the path at the box. `links`: path to target, as images make them."""

    wanted: Mapping[str, str]
    unwanted: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    def build(self, disk: Path) -> None:
        for path, target in self.links.items():
            (disk / path.strip("/")).parent.mkdir(parents=True, exist_ok=True)
            (disk / path.strip("/")).symlink_to(target)
        for path in (*self.wanted.values(), *self.unwanted):
            file = disk / path.strip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content(path))


def content(path: str) -> bytes:
    """A whole file of its kind, different for each path where that is easy."""
    ending = path.rpartition(".")[2]
    if ending == "mp4":
        return _film(ending)
    form = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}.get(ending)
    return _picture(form) if form else f"written as {path}".encode()


@functools.cache
def _picture(form: str) -> bytes:
    return picture(form)


@functools.cache
def _film(form: str) -> bytes:
    return bytes(film(form, "mpeg4", {}).written)


def below(folder: str, *names: str) -> dict[str, str]:
    """Files that have the same names at home."""
    return {name: f"{folder}/{name}" for name in names}


def a1111(app: str) -> Tree:
    files = (
        f"outputs/txt2img-images/{DAY}/00000-1234567.png",
        f"outputs/txt2img-images/{DAY}/00000-1234567.jpg",
        f"outputs/txt2img-images/{DAY}/00000-1234567.txt",
        f"outputs/txt2img-grids/{DAY}/grid-0000.png",
        f"outputs/img2img-images/{DAY}/00000-7.webp",
        f"outputs/extras-images/{DAY}/00000.png",
        f"outputs/init-images/{DAY}/0123456789abcdef.png",
        f"outputs/videos/{DAY}/00000-1.mp4",
        f"outputs/images/{DAY}/00000-saved.png",
        "log/images/00000-1234567.png",
        "log/images/log.csv",
    )
    unwanted = (f"outputs/txt2img-images/{DAY}/00001-8.tmp", "models/Stable-diffusion/a.safetensors", "config.json", "tmp/a.png")
    return Tree(below(app, *files), tuple(f"{app}/{name}" for name in unwanted))


COMFYUI = (
    "ComfyUI_00001_.png",
    "video/ComfyUI_00001_.mp4",
    "audio/ComfyUI_00001_.txt",
    "mesh/note.txt",
    "AnimateDiff_00001.png",
    "AnimateDiff_00001.mp4",
    "AnimateDiff_00001-audio.mp4",
)
COMFYUI_UNWANTED = (
    "output/ComfyUI_temp_abcde_00001_.png",
    "output/temp/preview.png",
    "output/.ipynb_checkpoints/a.png",
    "temp/ComfyUI_temp_abcde_00002_.png",
    "input/example.png",
    "models/checkpoints/a.safetensors",
)


def comfyui(app: str, links: Mapping[str, str] | None = None) -> Tree:
    return Tree(below(f"{app}/output", *COMFYUI), tuple(f"{app}/{name}" for name in COMFYUI_UNWANTED), links or {})


SWARMUI = Tree(
    below(
        "/workspace/SwarmUI",
        f"Output/local/raw/{DAY}/1200001-a cat-model.jpg",
        f"Output/local/raw/{DAY}/1200002-a film-model.mp4",
        f"Output/local/raw/{DAY}/1200002-a film-model.swarm.json",
        "dlbackend/ComfyUI/output/ComfyUI_00001_.png",
    ),
    (
        f"/workspace/SwarmUI/Output/local/raw/{DAY}/1200002-a film-model.swarmpreview.jpg",
        f"/workspace/SwarmUI/Output/local/raw/{DAY}/1200002-a film-model.swarmpreview.webp",
        "/workspace/SwarmUI/dlbackend/ComfyUI/temp/ComfyUI_temp_abcde_00001_.png",
        "/workspace/SwarmUI/dlbackend/ComfyUI/input/example.png",
        "/workspace/SwarmUI/Models/Stable-Diffusion/a.safetensors",
    ),
)

INVOKEAI = Tree(
    below("/workspace/invokeai/outputs", "images/0f8fad5b-d9cb-469f-a165-70867728950e.png"),
    (
        "/workspace/invokeai/outputs/images/thumbnails/0f8fad5b-d9cb-469f-a165-70867728950e.webp",
        "/workspace/invokeai/outputs/tensors/tmp_1/a.pt",
        "/workspace/invokeai/databases/invokeai.db",
    ),
)

FOOOCUS = Tree(
    below("/workspace/Fooocus/outputs", f"{DAY}/{DAY}_12-00-00_1234.png", f"{DAY}/log.html"),
    ("/workspace/Fooocus/models/checkpoints/a.safetensors",),
)

SDNEXT = Tree(
    below(
        "/workspace/sdnext/outputs",
        f"text/00001-{DAY}-model.jpg",
        f"text/00001-{DAY}-model.txt",
        "save/00002.png",
        "video/00001.mp4",
        "grids/1.png",
    ),
    ("/workspace/sdnext/models/a.safetensors", "/workspace/sdnext/config.json"),
)

KOHYA = Tree(
    below("/workspace/kohya_ss/outputs", "sample/lora_e000001_00_20261123120000.png"),
    ("/workspace/kohya_ss/outputs/lora.safetensors", "/workspace/kohya_ss/outputs/lora.json"),
)

AI_TOOLKIT = Tree(
    below("/workspace/ai-toolkit/output", "job/samples/1732363200000__000000250_0.jpg"),
    ("/workspace/ai-toolkit/output/job/job_000000250.safetensors", "/workspace/ai-toolkit/output/job/config.yaml"),
)

AI_DOCK = comfyui("/opt/ComfyUI", {"/workspace/ComfyUI": "/opt/ComfyUI"})
"""The workspace links to where the image unpacked it."""

AI_DOCK_MOVED = comfyui("/workspace/ComfyUI", {"/opt/ComfyUI": "/workspace/ComfyUI"})
"""The other way round, once it was moved to the volume."""

STORAGE = Tree(
    below("/workspace/storage/output", *COMFYUI),
    tuple(f"/workspace/storage/{name}" for name in COMFYUI_UNWANTED if name.startswith("output/")),
    {"/workspace/ComfyUI/output": "/workspace/storage/output"},
)
"""Outputs alone on other storage."""

ALL = (
    a1111("/workspace/stable-diffusion-webui"),
    a1111("/workspace/stable-diffusion-webui-forge"),
    a1111("/root/stable-diffusion-webui-reForge"),
    AI_DOCK,
    SWARMUI,
    INVOKEAI,
    FOOOCUS,
    SDNEXT,
    KOHYA,
    AI_TOOLKIT,
    comfyui("/ComfyUI"),
)
"""A box that has everything."""
