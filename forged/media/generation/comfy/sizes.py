"""The size that the first latents were asked for."""

from __future__ import annotations

import re

from forged.media.generation.comfy.graph import MAX_HOPS, Graph, Node
from forged.media.generation.comfy.values import Wanted, as_size, handed_on, is_pipe, seek

_LATENTS = ("latent_image", "latent", "latents", "latent_opt", "optional_latent", "image_embeds", "samples")
_WIDTH = ("empty_latent_width", "width", "Width", "generation_width")
_HEIGHT = ("empty_latent_height", "height", "Height", "generation_height")
_PICKED = ("resolution", "dimensions", "aspect_ratio", "preset")
_PIXELS = re.compile(r"(?<!\d)(\d{2,5})\s*[x×*]\s*(\d{2,5})(?!\d)")

Size = tuple[int, int] | None


def size(graph: Graph, node: Node) -> Size:
    """Width and height of the empty latents that a sampler began with. None where it began with a picture or other latents."""
    seen: set[str] = set()
    step: Node | None = node
    for _ in range(MAX_HOPS):
        if step is None or step.id in seen:
            return None
        seen.add(step.id)
        is_begun_before = step is node and any(graph.source(step.inputs.get(name)) for name in _LATENTS)
        if not is_begun_before and any(name in step.inputs for name in _WIDTH + _PICKED):
            return None if _is_from_latents(step) else _asked_for(graph, step)
        step = _before(graph, step)
    return None


def _before(graph: Graph, node: Node) -> Node | None:
    handed = graph.source(handed_on(graph, node))
    if handed is not None:
        return handed
    if graph.source(node.inputs.get("image_to_latent")) is not None:  # easy-use: a picture instead of empty latents
        return None
    latents = next((source for name in _LATENTS if (source := graph.source(node.inputs.get(name))) is not None), None)
    return latents or next((source for name, source in graph.links(node) if is_pipe(name)), None)


def _is_from_latents(node: Node) -> bool:
    """Whether it scales what others made."""
    return any(name in node.inputs for name in ("samples", "latent", "latents"))


def _asked_for(graph: Graph, node: Node) -> Size:
    picked = _picked(node)
    if picked is not None:
        return picked
    width, height = _side(graph, node, _WIDTH, 0), _side(graph, node, _HEIGHT, 1)
    return (width, height) if width is not None and height is not None else None


def _side(graph: Graph, node: Node, names: tuple[str, ...], which: int) -> int | None:
    """One side, as a number, or from a node whose text was picked from a list."""
    source = graph.source(node.first(names))
    if source is not None and any(name in source.inputs for name in _PICKED) and not _is_custom(source):
        picked = _picked(source)
        return None if picked is None else picked[which]
    return seek(graph, node, Wanted(names, as_size))


def _picked(node: Node) -> Size:
    """The size in a text like `832x1216 (0.68)`, where the node has none of its own that overrules it."""
    if any(isinstance(node.inputs.get(name), int) and node.inputs[name] for name in ("width_override", "height_override")):
        return None
    found = _PIXELS.search(str(node.first(_PICKED) or ""))
    sides = (as_size(int(found[1])), as_size(int(found[2]))) if found else (None, None)
    if sides[0] is None or sides[1] is None:
        return None
    return (sides[1], sides[0]) if node.inputs.get("swap_dimensions") in ("On", True) else (sides[0], sides[1])


def _is_custom(node: Node) -> bool:
    return "custom" in str(node.first(_PICKED)).lower()
