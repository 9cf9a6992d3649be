"""Civitai's generator: ComfyUI's graph in the UserComment, and beside its nodes `extra` and `extraMetadata`.

`extraMetadata` is JSON in a string and says what was asked for: prompt, negativePrompt, steps, cfgScale, sampler, seed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from forged.media.generation import loose
from forged.media.generation.comfy.values import as_count, as_float, as_name, as_seed
from forged.model.media import Generation


def completed(generation: Generation | None, graph: Mapping[str, object], place: str) -> Generation | None:
    """What the graph says, and what it does not say from what was asked for."""
    asked = graph.get("extraMetadata")
    asked = loose.mapping(asked) if isinstance(asked, str) else asked
    if generation is None or not isinstance(asked, dict):
        return generation
    new = {name: value for name, value in _fields(asked).items() if value is not None and getattr(generation, name) is None}
    if generation.prompts:
        new.pop("prompt", None)
    origins = {**generation.origins, **dict.fromkeys(new, place)}
    return msgspec.structs.replace(generation, generator="Civitai (ComfyUI)", origins=origins, **new)


def _fields(asked: Mapping[str, object]) -> dict[str, object]:
    prompt, negative = asked.get("prompt"), asked.get("negativePrompt")
    return {
        "prompt": prompt if isinstance(prompt, str) else None,
        "negative_prompt": negative if isinstance(negative, str) else None,
        "steps": as_count(asked.get("steps")),
        "cfg": as_float(asked.get("cfgScale")),
        "sampler": as_name(asked.get("sampler")),
        "seed": as_seed(asked.get("seed")),
    }
