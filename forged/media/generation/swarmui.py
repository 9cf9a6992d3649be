"""SwarmUI: a JSON object `sui_image_params` (src/Text2Image/T2IParamInput.cs).

It stands in PNG's `parameters`, in EXIF, or in the `.swarm.json` beside a film or an animation.
"""

from __future__ import annotations

from collections.abc import Mapping

from forged.media.generation import values
from forged.media.generation.blocks import COMMENTS, Blocks
from forged.media.generation.draft import Draft
from forged.media.generation.networks import networks
from forged.model.media import Generation, RawBlock

FIELDS: Mapping[str, str] = {
    "version": "swarm_version",
    "prompt": "prompt",
    "negative_prompt": "negativeprompt",
    "seed": "seed",
    "steps": "steps",
    "cfg": "cfgscale",
    "sampler": "sampler",
    "scheduler": "scheduler",
    "model": "model",
    "width": "width",
    "height": "height",
    "vae": "vae",
    "denoise": "initimagecreativity",
}


def read(blocks: Blocks) -> Generation | None:
    """The first object with image parameters."""
    for block, data in blocks.mappings("parameters", "swarm.json", *COMMENTS):
        if values.is_table(data.get("sui_image_params")):
            return _read(block, data)
    return None


def _read(block: RawBlock, data: Mapping[str, object]) -> Generation:
    params = values.table(data["sui_image_params"])
    draft = Draft("SwarmUI", block.place)
    draft.take(params, FIELDS)
    hashes = {(str(one.get("param")), _bare(one.get("name"))): one.get("hash") for one in values.tables(data.get("sui_models"))}
    draft.put("model_hash", hashes.get(("model", _bare(params.get("model")))))
    for name, weight, _ in networks(params.get("loras"), params.get("loraweights")):
        draft.lora(name, weight, hashes.get(("loras", _bare(name))))
    draft.rest(params.items(), (*FIELDS.values(), "loras", "loraweights"))
    draft.rest(values.table(data.get("sui_extra_data")).items())
    return draft.done()


def _bare(name: object) -> str:
    """A model's name without the ending that only the list of models has."""
    return name.removesuffix(".safetensors") if isinstance(name, str) else ""
