"""Easy Diffusion: in PNG each value is a text of its own (easydiffusion/utils/save_utils.py); elsewhere one JSON object."""

from __future__ import annotations

from forged.media.generation import dialects
from forged.media.generation.blocks import Blocks
from forged.media.generation.draft import Draft
from forged.model.media import Generation

MARK = "use_stable_diffusion_model"


def read(blocks: Blocks) -> Generation | None:
    """`prompt` is ComfyUI's key, too: only with the model's key beside it is it theirs."""
    marked = blocks.first(MARK)
    if marked is None or blocks.first("prompt") is None:
        return dialects.read(dialects.EASY_DIFFUSION, blocks)
    draft = Draft("Easy Diffusion", marked.place)
    for name, key in dialects.EASY_DIFFUSION_FIELDS.items():
        block = blocks.first(key)
        if block is not None:
            draft.put(name, block.text, block.place)
    known = dialects.EASY_DIFFUSION_FIELDS.values()
    draft.rest(((block.key, block.text) for block in blocks.all if block.place.startswith("png/")), known)
    return draft.done()
