"""Which parsers there are, and whose word counts where several blocks of one file speak.

The first parser that finds its own block wins, so those with a mark nobody else has come first, and A1111's text, which looks like
any text, last. Some programs write their own block beside ComfyUI's graph, since they run ComfyUI: then the one that knows best is
asked first, and the other says what it leaves open. Never is a field of one block changed by another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import structs

from forged.media.generation import a1111, comfy, dialects, drawthings, easydiffusion, envelope, fooocus, invokeai, novelai, swarmui
from forged.media.generation.blocks import Blocks
from forged.media.generation.draft import completed
from forged.model.media import Generation, RawBlock

Parser = Callable[[Blocks], Generation | None]


def _comfy(blocks: Blocks) -> Generation | None:
    return comfy.read(blocks.all)


def _over_the_graph(own: Parser) -> Parser:
    """Its own words first; what they leave open, from the graph."""

    def read(blocks: Blocks) -> Generation | None:
        made = own(blocks)
        graph = _comfy(blocks) if made is not None else None
        return completed(made, graph) if made is not None and graph is not None else made

    return read


def _under_the_graph(own: Parser) -> Parser:
    """The graph first, since its own words are of what was asked for (a seed of -1); the program's name is its own."""

    def read(blocks: Blocks) -> Generation | None:
        made = own(blocks)
        graph = _comfy(blocks) if made is not None else None
        if made is None or graph is None:
            return made
        return structs.replace(completed(graph, made), generator=made.generator)

    return read


def _saved_by_a_node(blocks: Blocks) -> Generation | None:
    """ComfyUI. Nodes that save A1111's text beside the graph often do not know what they write, so the graph is asked first."""
    graph = _comfy(blocks)
    text = a1111.read(blocks) if graph is not None else None
    return completed(graph, text) if graph is not None and text is not None else graph


PARSERS: tuple[Parser, ...] = (
    _over_the_graph(swarmui.read),
    invokeai.read,
    drawthings.read,
    novelai.read,
    partial(dialects.read, dialects.RUINED_FOOOCUS),
    fooocus.read,
    _over_the_graph(partial(dialects.read, dialects.STABILITY_MATRIX)),
    _under_the_graph(dialects.tensor_art),
    easydiffusion.read,
    dialects.wangp,
    partial(dialects.read, dialects.HUGGING_FACE),
    _saved_by_a_node,
    a1111.read,
)


def generation_of(blocks: Sequence[RawBlock]) -> Generation | None:
    """How a file with these texts was made; None where they do not say. Takes time in proportion to the texts."""
    found = Blocks(blocks)
    made = _first(found) if found.all else None
    if made is not None:
        return made
    inside = ((place, _first(inner)) for place, inner in envelope.opened(found))
    return next((envelope.closed(one, place) for place, one in inside if one is not None), None)


def _first(blocks: Blocks) -> Generation | None:
    return next((made for parser in PARSERS if (made := parser(blocks)) is not None), None)
