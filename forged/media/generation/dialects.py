"""Generators that write one flat JSON object: which keys make it theirs, and what they call our fields. One table, one reader.

Sources, each as its program wrote it: RuinedFooocus (modules/imagebrowser.py, `software`), Hugging Face spaces (`parameters` with
guidance_scale), WanGP (`comment` of its films, `type` "WanGP v…"), StabilityMatrix (`parameters-json`),
Easy Diffusion (UserComment of its JPEG and WebP; in PNG the same keys are single texts), Draw Things (UserComment; in PNG inside
XMP).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from forged.media.generation import values
from forged.media.generation.blocks import COMMENTS, Blocks
from forged.media.generation.draft import Draft
from forged.media.generation.networks import networks
from forged.model.media import Generation

_VERSION = re.compile(r"WanGP v(\d[\w.]{0,30})")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of them. `marks`: keys that all have to be there; `says`: a key and how its text begins."""

    generator: str
    blocks: tuple[str, ...]
    marks: tuple[str, ...]
    fields: Mapping[str, str]
    says: tuple[str, str] | None = None
    size: str = ""
    """The key of a text such as `512x768`, where width and height have none of their own."""
    loras: str = ""
    """The key of the LoRAs (`networks`)."""
    weights: str = ""
    """The key of their weights, where those stand beside the names."""

    def claims(self, data: Mapping[str, object]) -> bool:
        if any(mark not in data for mark in self.marks):
            return False
        key, beginning = self.says or ("", "")
        return not key or str(data.get(key, "")).startswith(beginning)

    def read(self, data: Mapping[str, object], place: str) -> Generation:
        """What it says. Everything that is no field is a setting."""
        draft = Draft(self.generator, place)
        draft.take(data, self.fields)
        draft.size(data.get(self.size))
        for one in networks(data.get(self.loras), data.get(self.weights)):
            draft.lora(*one)
        draft.rest(data.items(), (*self.fields.values(), self.size, self.loras, self.weights))
        return draft.done()


RUINED_FOOOCUS = Dialect(
    "RuinedFooocus",
    ("parameters", "metadata", *COMMENTS),
    ("Prompt",),
    {
        "prompt": "Prompt",
        "negative_prompt": "Negative",
        "seed": "seed",
        "steps": "steps",
        "cfg": "cfg",
        "sampler": "sampler_name",
        "scheduler": "scheduler",
        "model": "base_model_name",
        "model_hash": "base_model_hash",
        "width": "width",
        "height": "height",
        "denoise": "denoise",
        "clip_skip": "clip_skip",
    },
    says=("software", "RuinedFooocus"),
    loras="loras",
)

HUGGING_FACE = Dialect(
    "Hugging Face",
    ("parameters", *COMMENTS),
    ("prompt", "guidance_scale", "num_inference_steps"),
    {
        "prompt": "prompt",
        "negative_prompt": "negative_prompt",
        "seed": "seed",
        "steps": "num_inference_steps",
        "cfg": "guidance_scale",
        "sampler": "sampler",
        "model": "Model",
        "model_hash": "Model hash",
        "width": "width",
        "height": "height",
    },
    size="resolution",
)

WANGP = Dialect(
    "WanGP",
    ("WanGP", *COMMENTS),
    ("prompt",),
    {
        "prompt": "prompt",
        "negative_prompt": "negative_prompt",
        "seed": "seed",
        "steps": "num_inference_steps",
        "cfg": "guidance_scale",
        "sampler": "sample_solver",
        "model": "model_type",
        "denoise": "denoising_strength",
        "version": "version",
    },
    says=("type", "WanGP"),
    size="resolution",
    loras="activated_loras",
    weights="loras_multipliers",
)

EASY_DIFFUSION_FIELDS: Mapping[str, str] = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "steps": "num_inference_steps",
    "cfg": "guidance_scale",
    "sampler": "sampler_name",
    "scheduler": "scheduler_name",
    "model": "use_stable_diffusion_model",
    "width": "width",
    "height": "height",
    "denoise": "prompt_strength",
    "clip_skip": "clip_skip_layers",
    "vae": "use_vae_model",
}

EASY_DIFFUSION = Dialect(
    "Easy Diffusion",
    ("parameters", *COMMENTS),
    ("prompt", "use_stable_diffusion_model"),
    EASY_DIFFUSION_FIELDS,
    loras="use_lora_model",
    weights="lora_alpha",
)

EASY_DIFFUSION_LABELS: Mapping[str, str] = {
    "prompt": "Prompt",
    "negative_prompt": "Negative Prompt",
    "seed": "Seed",
    "steps": "Steps",
    "cfg": "Guidance Scale",
    "sampler": "Sampler",
    "scheduler": "Scheduler",
    "model": "Stable Diffusion model",
    "width": "Width",
    "height": "Height",
    "denoise": "Prompt Strength",
    "clip_skip": "Clip Skip",
    "vae": "VAE model",
}

EASY_DIFFUSION_LABELLED = Dialect(
    "Easy Diffusion",
    ("parameters", *COMMENTS),
    ("Prompt", "Stable Diffusion model"),
    EASY_DIFFUSION_LABELS,
    loras="LoRA model",
    weights="LoRA Strength",
)
"""What it writes where its owner has asked for text files, too."""

DRAW_THINGS = Dialect(
    "Draw Things",
    COMMENTS,
    ("c", "uc", "sampler", "seed"),
    {
        "prompt": "c",
        "negative_prompt": "uc",
        "seed": "seed",
        "steps": "steps",
        "cfg": "scale",
        "sampler": "sampler",
        "model": "model",
        "denoise": "strength",
    },
    size="size",
    loras="lora",
)

STABILITY_MATRIX = Dialect(
    "StabilityMatrix",
    ("parameters-json",),
    ("PositivePrompt", "ModelName"),
    {
        "prompt": "PositivePrompt",
        "negative_prompt": "NegativePrompt",
        "seed": "Seed",
        "steps": "Steps",
        "cfg": "CfgScale",
        "sampler": "Sampler",
        "model": "ModelName",
        "model_hash": "ModelHash",
        "width": "Width",
        "height": "Height",
    },
)

TENSOR_ART = Dialect(
    "TensorArt",
    ("generation_data",),
    ("prompt", "negativePrompt"),
    {
        "prompt": "prompt",
        "negative_prompt": "negativePrompt",
        "seed": "seed",
        "steps": "steps",
        "cfg": "cfgScale",
        "sampler": "ksamplerName",
        "scheduler": "schedule",
        "width": "width",
        "height": "height",
        "clip_skip": "clipSkip",
        "vae": "sdVae",
        "model": "modelFileName",
        "model_hash": "modelHash",
    },
)


def read(dialect: Dialect, blocks: Blocks) -> Generation | None:
    """The first block that is one of this dialect."""
    for block, data in blocks.mappings(*dialect.blocks):
        if dialect.claims(data):
            return dialect.read(data, block.place)
    return None


def tensor_art(blocks: Blocks) -> Generation | None:
    """Its model is an object of its own."""
    for block, data in blocks.mappings(*TENSOR_ART.blocks):
        if TENSOR_ART.claims(data):
            others = {key: value for key, value in data.items() if key != "baseModel"}
            base = values.table(data.get("baseModel"))
            named = {"modelFileName": base.get("modelFileName"), "modelHash": base.get("hash")}
            return TENSOR_ART.read({**others, **named}, block.place)
    return None


def wangp(blocks: Blocks) -> Generation | None:
    """Its version stands in its type: `WanGP v12.60 by DeepBeepMeep - <model>` (wgp.py)."""
    for block, data in blocks.mappings(*WANGP.blocks):
        if WANGP.claims(data):
            version = _VERSION.match(str(data["type"]))
            return WANGP.read({**data, "version": version[1] if version else None}, block.place)
    return None
