"""The texts that a sampler was given: from its conditioning back to where they were encoded, and from there to who wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from forged.media.generation.comfy.graph import MAX_HOPS, Graph, Node
from forged.media.generation.comfy.strings import Strings
from forged.media.generation.comfy.values import Wanted, as_int, handed_on, is_pipe, seek

MAX_TEXTS = 100
"""So many combined texts are kept."""

_SIDES = {
    True: re.compile(r"^(\w+_)?(positive|pos)(_prompt|_text|_cond|_conditioning|_\d)?$|^cond\d$"),
    False: re.compile(r"^(\w+_)?(negative|neg)(_prompt|_text|_cond|_conditioning|_\d)?$"),
}
_CONDITIONING = re.compile(r"conditioning|^cond(_|\d|$)|^prompt_embeds$")
_BUNDLE = ("guider", "text_embeds")

_ENCODERS = ("t5xxl", "text_g", "clip_g", "mt5xl", "text_l", "clip_l", "bert", "llama")
"""One text for each text encoder of a model (SDXL, SD3, Flux, HiDream, HunyuanDiT), the main one first."""

_TEXT = ("populated_text", "text", "prompt", "user_prompt", "tags")
_CLIP_SKIP = Wanted(("stop_at_clip_layer", "clip_skip"), as_int, ("clip",))


@dataclass(slots=True)
class Given:
    """What was found for one side of a sampler."""

    texts: list[str] = field(default_factory=list)
    """Different ones, as they were combined."""
    beside: list[str] = field(default_factory=list)
    """What the lesser text encoders of one node were given, where that is another text."""
    is_whole: bool = True
    """False where a text is made when the graph runs, or comes from a node that says nothing of it."""
    encoders: list[Node] = field(default_factory=list)

    @property
    def only(self) -> str | None:
        """The one text, empty where there is none; None where there are several or not all are known."""
        full = [text for text in self.texts if text.strip()]
        if not self.is_whole or len(full) > 1:
            return None
        return full[0] if full else (self.texts[0] if self.texts else None)


def given(graph: Graph, strings: Strings, sampler: Node, is_positive: bool) -> Given:
    """The positive (or negative) texts of a sampler. A conditioning that was zeroed (ConditioningZeroOut) is an empty text."""
    found = Given()
    seen: set[str] = set()
    left = [(sampler, False)]
    for _ in range(MAX_HOPS):
        if not left or len(found.texts) >= MAX_TEXTS:
            break
        node, is_on_side = left.pop()
        if node.id in seen:
            continue
        seen.add(node.id)
        texts = _encoded(graph, strings, node, is_positive)
        if texts is None:
            before = list(_before(graph, node, is_positive, is_on_side))
            found.is_whole &= bool(before) or not is_on_side
            left += reversed(before)
        else:
            found.encoders.append(node)
            _keep(found, texts)
    found.is_whole &= not left
    return found


def clip_skip(graph: Graph, encoder: Node) -> int | None:
    """Clip skip as A1111 counts it, 1 for none: ComfyUI's `stop_at_clip_layer` without its sign."""
    layer = seek(graph, encoder, _CLIP_SKIP)
    return -layer if layer is not None and -100 < layer < 0 else None


def _keep(found: Given, texts: list[str | None]) -> None:
    for number, text in enumerate(texts):
        kept = found.beside if number else found.texts
        if text is None:
            found.is_whole = False
        elif all(text.strip() != other.strip() for other in found.texts + found.beside):
            kept.append(text)


def _encoded(graph: Graph, strings: Strings, node: Node, is_positive: bool) -> list[str | None] | None:
    """The texts that this node encodes, the main one first (None: unknown); None where it only passes conditioning on."""
    if "ZeroOut" in node.kind:
        return [""]
    for name, value in graph.entries(node):
        if isinstance(value, str) and _SIDES[is_positive].search(name):
            return [strings.written(node, value)]
    if any(_SIDES[side].search(name) for side in (True, False) for name in node.inputs):
        return None
    texts = [name for name in _TEXT if node.inputs.get(name) not in (None, "")] or [name for name in _TEXT if name in node.inputs]
    encoders = [name for name in _ENCODERS if name in node.inputs]
    if texts and (not encoders or node.inputs[texts[0]]):
        return [strings.value(node, texts[0], is_positive)]
    if encoders:
        return _by_encoder([strings.value(node, name, is_positive) for name in encoders])
    if strings.is_string(node):
        return [strings.output(node, is_positive)]
    return None


def _by_encoder(texts: list[str | None]) -> list[str | None]:
    full = [text for text in texts if text is None or text.strip()]
    return full or texts[:1]


def _before(graph: Graph, node: Node, is_positive: bool, is_on_side: bool) -> Iterator[tuple[Node, bool]]:
    """The nodes whose conditioning this one takes, and whether all of theirs is for this side.

    A sampler or guider with a conditioning and no sides (BasicGuider) has no negative text.
    """
    handed = graph.source(handed_on(graph, node))
    if handed is not None:
        yield handed, is_on_side
        return
    links = list(graph.links(node))
    side = [source for name, source in links if _SIDES[is_positive].search(name)]
    if not side and (is_positive or is_on_side):
        side = [source for name, source in links if _CONDITIONING.search(name) and not _SIDES[not is_positive].search(name)]
    yield from ((source, True) for source in side)
    if not side:
        yield from ((source, is_on_side) for name, source in links if name in _BUNDLE or is_pipe(name))
