"""What a picture was asked for: prompt, seed, model and settings, written down the way A1111 and ComfyUI write them.

The A1111 text follows `create_infotext` of modules/processing.py (Forge, webui 1.10): the prompt, `Negative prompt:`, then one
line of `Key: value` pairs that begins with Steps. ComfyUI's `prompt` is the graph as its HTTP interface takes it: node id ->
class_type and inputs, a link being `[node id, output index]`.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from PIL import Image

from forged.demo import pictures

NEGATIVE = "lowres, blurry, jpeg artifacts, watermark, text"

FINISHES = (
    "highly detailed, 8k wallpaper",
    "film grain, 35mm, <lora:quiet_light:0.6>",
    "matte painting, (intricate:1.2)",
    "studio quality, clean composition",
)

CHECKPOINTS = (("dreamscapeXL_v30", "8f3c21d09a"), ("inkAndEmber_v12", "41be77c2d5"), ("northlight_fp16", "c90a5e13f7"))
"""Invented checkpoints and the ten hex digits that A1111 shows of their hashes."""

SAMPLERS = (("DPM++ 2M", "Karras", "dpmpp_2m"), ("Euler a", "Automatic", "euler_ancestral"), ("UniPC", "SGM Uniform", "uni_pc"))
"""Sampler and schedule as A1111 names them, and the sampler as ComfyUI does."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides one picture; the same recipe paints the same picture again."""

    seed: int
    motif: int
    palette: pictures.Palette
    finish: str
    checkpoint: tuple[str, str]
    sampler: tuple[str, str, str]
    steps: int
    cfg: float

    @property
    def prompt(self) -> str:
        words, _ = pictures.MOTIFS[self.motif]
        return f"{words}, {self.palette.words}, {self.finish}"

    def paint(self) -> Image.Image:
        _, painter = pictures.MOTIFS[self.motif]
        return painter(random.Random(self.seed), self.palette)


def invented(rng: random.Random, seed_bits: int = 32) -> Recipe:
    """A new recipe. A1111's seeds have 32 bits, ComfyUI's 64."""
    return Recipe(
        seed=rng.getrandbits(seed_bits),
        motif=rng.randrange(len(pictures.MOTIFS)),
        palette=rng.choice(pictures.PALETTES),
        finish=rng.choice(FINISHES),
        checkpoint=rng.choice(CHECKPOINTS),
        sampler=rng.choice(SAMPLERS),
        steps=rng.choice((20, 24, 28, 32)),
        cfg=rng.choice((4.5, 6.0, 7.0)),
    )


def parameters(recipe: Recipe) -> str:
    """The `parameters` text of an A1111 PNG."""
    width, height = pictures.SIZE
    model, model_hash = recipe.checkpoint
    sampler, schedule, _ = recipe.sampler
    settings = (
        f"Steps: {recipe.steps}, Sampler: {sampler}, Schedule type: {schedule}, CFG scale: {recipe.cfg:g}, Seed: {recipe.seed}, "
        f"Size: {width}x{height}, Model hash: {model_hash}, Model: {model}, Version: f2.0.1v1.10.1-previous-669-gdfdcbab6"
    )
    return f"{recipe.prompt}\nNegative prompt: {NEGATIVE}\n{settings}"


def graph(recipe: Recipe) -> str:
    """The `prompt` JSON of a ComfyUI picture or film: checkpoint, two texts, an empty picture, the sampler, decoding, saving."""
    width, height = pictures.SIZE
    sampling = {"seed": recipe.seed, "steps": recipe.steps, "cfg": recipe.cfg, "sampler_name": recipe.sampler[2]}
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    nodes: dict[str, tuple[str, dict[str, object]]] = {
        "3": ("KSampler", {**sampling, "scheduler": "karras", "denoise": 1.0, **links}),
        "4": ("CheckpointLoaderSimple", {"ckpt_name": f"{recipe.checkpoint[0]}.safetensors"}),
        "5": ("EmptyLatentImage", {"width": width, "height": height, "batch_size": 1}),
        "6": ("CLIPTextEncode", {"text": recipe.prompt, "clip": ["4", 1]}),
        "7": ("CLIPTextEncode", {"text": NEGATIVE, "clip": ["4", 1]}),
        "8": ("VAEDecode", {"samples": ["3", 0], "vae": ["4", 2]}),
        "9": ("SaveImage", {"filename_prefix": "ComfyUI", "images": ["8", 0]}),
    }
    return json.dumps({id: {"inputs": inputs, "class_type": kind} for id, (kind, inputs) in nodes.items()})
