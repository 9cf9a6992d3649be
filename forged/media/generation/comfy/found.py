"""Which of the raw blocks are ComfyUI's, in all the forms in which its savers and those of others put them into files.

A block of its own (PNG text, APNG's `comf`, tags of film and sound), a text that begins with `prompt:` or `workflow:` (EXIF of
WebP; Make, Model and others), both in one object (VHS until 2026-01, SaveImagePlus), or the graph itself in an EXIF comment with
more beside it (Civitai).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from forged.media.generation import loose
from forged.media.generation.comfy import civitai
from forged.media.generation.comfy.reading import read_graph
from forged.model.media import Generation, RawBlock

_LABEL = re.compile(r"\s*(prompt|workflow)\s*:\s*(?=[{\"])", re.IGNORECASE)
_MARKS = ("class_type", "nodes")
"""A text with neither is neither graph nor workflow, and is not parsed."""


def read(texts: Sequence[RawBlock]) -> Generation | None:
    """How a file was made by what ComfyUI left in it; `workflow` alone where there is no graph. None where it left nothing."""
    generation: Generation | None = None
    workflow: str | None = None
    for block in texts:
        if any(mark in block.text for mark in _MARKS):
            graph, has_workflow = _inside(block)
            workflow = block.place if has_workflow and workflow is None else workflow
            if generation is None and graph is not None:
                generation = civitai.completed(read_graph(graph, block.place), graph, block.place)
    if generation is None:
        return None if workflow is None else Generation("ComfyUI", workflow=workflow, origins={"workflow": workflow})
    if workflow is None:
        return generation
    return msgspec.structs.replace(generation, workflow=workflow, origins={**generation.origins, "workflow": workflow})


def _inside(block: RawBlock) -> tuple[Mapping[str, object] | None, bool]:
    """The graph in a block, and whether there is a workflow in it."""
    label = _LABEL.match(block.text)
    named = label[1] if label else block.key
    if named.lower() == "workflow" and '"nodes' in block.text.replace("\\", ""):
        return None, True  # hundreds of kilobytes, from which nothing else is taken
    value = loose.mapping(block.text[label.end() :] if label else block.text)
    if value is None:
        return None, False
    if _is_workflow(value):
        return None, True
    has_workflow = _is_workflow(_object(value.get("workflow")))
    inner = _object(value.get("prompt"))
    return (value if _has_nodes(value) else inner if _has_nodes(inner) else None), has_workflow


def _object(value: object) -> Mapping[str, object]:
    """What lies in an object, itself or as a text."""
    if isinstance(value, str):
        return loose.mapping(value) or {}
    return value if isinstance(value, dict) else {}


def _has_nodes(value: Mapping[str, object]) -> bool:
    return any(isinstance(entry, dict) and "class_type" in entry for entry in value.values())


def _is_workflow(value: Mapping[str, object]) -> bool:
    """As the editor saves it: a list of nodes, and links between them."""
    return isinstance(value.get("nodes"), list) and ("links" in value or "last_node_id" in value)
