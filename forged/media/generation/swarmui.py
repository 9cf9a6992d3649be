"""SwarmUI: a JSON object `sui_image_params` (src/Text2Image/T2IParamInput.cs).

It stands in PNG's `parameters`, in EXIF, or in the `.swarm.json` beside a film or an animation.
"""

from __future__ import annotations

from collections.abc import Mapping

from forged.media.generation import values
from forged.media.generation.blocks import COMMENTS, Blocks
from forged.media.generation.draft import Draft
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
    "clip_skip": "clipstopatlayer",
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
    models = values.tables(data.get("sui_models"))
    hashes = {(one.get("param"), _bare(one.get("name"))): one.get("hash") for one in models}
    draft.put("model_hash", hashes.get(("model", _bare(params.get("model")))))
    for name, weight in _weighed(params.get("loras"), params.get("loraweights")):
        draft.lora(name, weight, hashes.get(("loras", _bare(name))))
    draft.rest(params.items(), (*FIELDS.values(), "loras", "loraweights"))
    return draft.done()


def _bare(name: object) -> str:
    """A model's name without the ending that only the list of models has."""
    return name.removesuffix(".safetensors") if isinstance(name, str) else ""


def _weighed(names: object, weights: object) -> list[tuple[object, object]]:
    """LoRAs and weights: two lists side by side, or two texts with commas."""
    columns = [one.split(",") if isinstance(one, str) else one if isinstance(one, list) else [] for one in (names, weights)]
    return [(name, columns[1][n] if n < len(columns[1]) else None) for n, name in enumerate(columns[0])]
