"""Small graphs, written as ComfyUI would have them."""

from __future__ import annotations

from forged.media.generation.comfy import read_graph
from forged.model.media import Generation

PLACE = "png/tEXt/prompt"

Graph = dict[str, object]


def node(kind: str, /, **inputs: object) -> dict[str, object]:
    """One node. Names that are no identifiers: `**{"text g": …}`."""
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def link(id: str, slot: int = 0) -> list[object]:
    return [id, slot]


def sampler(**inputs: object) -> dict[str, object]:
    """A KSampler with something in every input."""
    usual = {
        "seed": 42,
        "steps": 20,
        "cfg": 7.5,
        "sampler_name": "euler",
        "scheduler": "karras",
        "denoise": 1.0,
        "model": link("model"),
        "positive": link("positive"),
        "negative": link("negative"),
        "latent_image": link("latent"),
    }
    return node("KSampler", **{**usual, **inputs})


def plain(**changes: object) -> Graph:
    """Text to picture with the nodes that ComfyUI begins with. A node that is None is left out."""
    graph: Graph = {
        "model": node("CheckpointLoaderSimple", ckpt_name="base.safetensors"),
        "positive": node("CLIPTextEncode", text="a cat", clip=link("model", 1)),
        "negative": node("CLIPTextEncode", text="a dog", clip=link("model", 1)),
        "latent": node("EmptyLatentImage", width=640, height=960, batch_size=1),
        "sampler": sampler(),
        "decode": node("VAEDecode", samples=link("sampler"), vae=link("model", 2)),
        "save": node("SaveImage", filename_prefix="ComfyUI", images=link("decode")),
    }
    return {id: entry for id, entry in {**graph, **changes}.items() if entry is not None}


def read(graph: Graph, place: str = PLACE) -> Generation:
    """What is read from a graph, which has to be one."""
    generation = read_graph(graph, place)
    assert generation is not None
    return generation


def read_plain(**changes: object) -> Generation:
    return read(plain(**changes))
