"""Easy Diffusion: in PNG each value is a text of its own (easydiffusion/utils/save_utils.py); elsewhere one JSON object."""

from __future__ import annotations

from forged.media.generation import dialects
from forged.media.generation.blocks import Blocks
from forged.media.generation.dialects import Dialect
from forged.media.generation.draft import Draft
from forged.media.generation.networks import networks
from forged.model.media import Generation

DIALECTS = (dialects.EASY_DIFFUSION, dialects.EASY_DIFFUSION_LABELLED)


def read(blocks: Blocks) -> Generation | None:
    """In either of its two sets of keys."""
    made = (form(dialect, blocks) for form in (_texts, dialects.read) for dialect in DIALECTS)
    return next((one for one in made if one is not None), None)


def _texts(dialect: Dialect, blocks: Blocks) -> Generation | None:
    """`prompt` is ComfyUI's key, too: only with the model's key beside it is it theirs. Nothing is written as `None`."""
    marked = blocks.first(dialect.fields["model"])
    if marked is None or blocks.first(dialect.fields["prompt"]) is None:
        return None
    draft = Draft(dialect.generator, marked.place)
    for name, key in dialect.fields.items():
        block = blocks.first(key)
        if block is not None and block.text != "None":
            draft.put(name, block.text, block.place)
    for one in networks(blocks.text(dialect.loras), blocks.text(dialect.weights)):
        draft.lora(*one)
    others = ((block.key, block.text) for block in blocks.all if block.place.startswith("png/") and block.text != "None")
    draft.rest(others, (*dialect.fields.values(), dialect.loras, dialect.weights))
    return draft.done()
