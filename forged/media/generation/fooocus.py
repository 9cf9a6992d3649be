"""Fooocus and what has grown out of it (mashb1t's, FooocusPlus): JSON in PNG's `parameters` or in EXIF, `fooocus_scheme` beside it.

modules/meta_parser.py writes it in one of two schemes; the other one is A1111's text (`a1111`). RuinedFooocus: `dialects`.
"""

from __future__ import annotations

from collections.abc import Mapping

from forged.media.generation.blocks import COMMENTS, Blocks
from forged.media.generation.draft import Draft
from forged.media.generation.networks import networks
from forged.model.media import Generation

FIELDS: Mapping[str, str] = {
    "version": "version",
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "steps": "steps",
    "cfg": "guidance_scale",
    "sampler": "sampler",
    "scheduler": "scheduler",
    "model": "base_model",
    "model_hash": "base_model_hash",
    "vae": "vae",
    "clip_skip": "clip_skip",
    "denoise": "overwrite_strength",
}


def read(blocks: Blocks) -> Generation | None:
    """The first object with a base model and a guidance scale, in whichever of the two ways its keys are written."""
    for block, written in blocks.mappings("parameters", *COMMENTS):
        data = {key.lower().replace(" ", "_"): value for key, value in written.items()}
        if "base_model" in data and "guidance_scale" in data:
            return _read(block.place, data)
    return None


def _read(place: str, data: dict[str, object]) -> Generation:
    draft = Draft("FooocusPlus" if str(data.get("version", "")).startswith("FooocusPlus") else "Fooocus", place)
    draft.take(data, FIELDS)
    draft.size(data.get("resolution"))
    lists = {"loras", "full_prompt", "full_negative_prompt"}
    for one in networks(data.get("loras")):
        draft.lora(*one)
    for key in [key for key in data if key.startswith("lora_combined_")]:
        name, _, weight = str(data[key]).rpartition(" : ")
        draft.lora(name, weight)
        lists.add(key)
    for key in ("full_prompt", "full_negative_prompt"):
        for text in _texts(data.get(key)):
            draft.rest([(key, text)])
    draft.rest(data.items(), (*FIELDS.values(), "resolution", *lists))
    return draft.done()


def _texts(value: object) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, str)]
