"""NovelAI: PNG texts Title, Description, Software, Source and Comment, the last one JSON; in WebP all of it as JSON in EXIF.

Since V4 `v4_prompt` and `v4_negative_prompt` hold a base caption and one for each character.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forged.media.generation import loose, values
from forged.media.generation.blocks import Blocks
from forged.media.generation.draft import Draft
from forged.model.media import Generation, RawBlock

FIELDS: Mapping[str, str] = {
    "prompt": "prompt",
    "negative_prompt": "uc",
    "seed": "seed",
    "steps": "steps",
    "cfg": "scale",
    "sampler": "sampler",
    "scheduler": "noise_schedule",
    "width": "width",
    "height": "height",
}


def read(blocks: Blocks) -> Generation | None:
    """Theirs is what has a sampler, a scale and `uc` (or its successor)."""
    for block, data in _comments(blocks):
        if "scale" in data and "sampler" in data and ("uc" in data or "v4_prompt" in data):
            return _read(blocks, block, data)
    return None


def _comments(blocks: Blocks) -> Iterator[tuple[RawBlock, Mapping[str, object]]]:
    """Where the settings are: in a text of their own, or in one more object around them."""
    for block, data in blocks.mappings("Comment", "UserComment", "stealth"):
        inner = data.get("Comment")
        unwrapped = loose.mapping(inner) if isinstance(inner, str) else inner
        yield block, unwrapped if values.is_table(unwrapped) else data


def _read(blocks: Blocks, block: RawBlock, data: Mapping[str, object]) -> Generation:
    draft = Draft("NovelAI", block.place)
    draft.take(data, FIELDS)
    for name, key in (("prompt", "v4_prompt"), ("negative_prompt", "v4_negative_prompt")):
        caption = values.table(values.table(data.get(key)).get("caption"))
        draft.put(name, caption.get("base_caption"))
        for number, one in enumerate(values.tables(caption.get("char_captions")), 1):
            draft.rest([(f"character {number} {name.replace('_', ' ')}", one.get("char_caption"))])
    described = blocks.first("Description")
    if described is not None:
        draft.put("prompt", described.text, described.place)
    _model(draft, blocks, block)
    draft.rest(data.items(), (*FIELDS.values(), "v4_prompt", "v4_negative_prompt"))
    return draft.done()


def _model(draft: Draft, blocks: Blocks, block: RawBlock) -> None:
    """`Source`; in WebP's EXIF `Software` has it."""
    draft.put("model", (blocks.mapping(block) or {}).get("Source"))
    for source in blocks.called("Source", "Software"):
        if source.text.strip().lower() != "novelai":
            draft.put("model", source.text, source.place)
