"""One JSON object as a comment, whose keys are those of PNG's texts: what converters make of a PNG's texts in JPEG and WebP."""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec import structs

from forged.media.generation.blocks import COMMENTS, Blocks
from forged.model.media import Generation, RawBlock

KEYS = (
    "parameters",
    "parameters-json",
    "invokeai_metadata",
    "invokeai_graph",
    "invokeai_workflow",
    "sd-metadata",
    "Dream",
    "generation_data",
    "prompt",
    "workflow",
    "Comment",
    "Description",
    "Software",
    "Source",
    "fooocus_scheme",
)
"""Of the texts that the generators here write. One that is a JSON object in itself may stand there as one."""

MARKS = frozenset(KEYS) - {"prompt", "workflow", "Description", "Comment", "Software", "Source"}
"""One of them has to be there: the others are everybody's words."""


def opened(blocks: Blocks) -> Iterator[tuple[str, Blocks]]:
    """The place of each such object, and the blocks inside."""
    for block, data in blocks.mappings(*COMMENTS):
        if not MARKS.isdisjoint(data):
            texts = ((key, _text(data[key])) for key in KEYS if key in data)
            yield block.place, Blocks([RawBlock(f"{block.place}/{key}", text) for key, text in texts if text])


def closed(made: Generation, place: str) -> Generation:
    """What was read inside, as read from the block around it: that is the one which the file has."""
    outside = {name: place for name in ("graph", "workflow") if getattr(made, name) is not None}
    return structs.replace(made, origins=dict.fromkeys(made.origins, place), **outside)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict) else ""
