"""From a graph to a `Generation`: what the base sampler was given; where there are several, what all of them agree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from forged.media.generation.comfy import models, outputs, passes, sizes, texts
from forged.media.generation.comfy.graph import Graph, Node, parse
from forged.media.generation.comfy.strings import Strings
from forged.media.generation.comfy.values import Wanted, as_float, as_name, seek
from forged.model.media import Generation, Sampling

T = TypeVar("T")

_VAE = Wanted(("vae_name",), as_name, ("vae", "vae_opt", "optional_vae"))
_GUIDANCE = Wanted(("guidance",), as_float, ("guider", "positive", "conditioning"))


def read_graph(graph: Mapping[str, object], place: str) -> Generation | None:
    """How a file was made, by ComfyUI's API graph; None where this is none. `place`: where the graph was found.

    Bounded and linear in the size of the graph, whatever is in it. Nothing is filled in that the graph does not hold.
    """
    parsed = parse(graph)
    if parsed is None:
        return None
    feeders = outputs.Feeders(parsed)
    path = outputs.path(parsed, feeders, place)
    rows = passes.in_order(parsed, path, feeders)
    samplers = [node for row in rows for node in row][: passes.MAX_SAMPLINGS]
    samplings = tuple(passes.sampling(parsed, node) for node in samplers)
    bases = _bases(rows, samplers)
    generation = _from_bases(parsed, bases, [one for one in samplings if one.id in {base.id for base in bases}])
    generation = msgspec.structs.replace(generation, samplings=samplings, vae=_vae(parsed, path), graph=place)
    return msgspec.structs.replace(generation, origins=_origins(generation, place))


def _bases(rows: Sequence[Sequence[Node]], samplers: Sequence[Node]) -> list[Node]:
    """The samplers that began. Where latents of several were put together half-way, whoever went on without new noise, too."""
    first = list(rows[0][: len(samplers)]) if rows else []
    if len(first) < 2:
        return first
    return first + [node for node in samplers[len(first) :] if node.inputs.get("add_noise") == "disable"]


def _from_bases(graph: Graph, bases: Sequence[Node], samplings: Sequence[Sampling]) -> Generation:
    strings = Strings(graph)
    positive = [texts.given(graph, strings, base, is_positive=True) for base in bases]
    negative = [texts.given(graph, strings, base, is_positive=False) for base in bases]
    several = tuple(dict.fromkeys(text for one in positive for text in one.texts + one.beside if text.strip()))
    prompt = _agreed(positive, lambda one: one.only)
    size = _agreed(bases, lambda base: sizes.size(graph, base)) or (None, None)
    return Generation(
        generator="ComfyUI",
        prompt=prompt,
        negative_prompt=_agreed(negative, lambda one: one.only),
        seed=_agreed(samplings, lambda one: one.seed),
        steps=_agreed(samplings, lambda one: one.steps),
        cfg=_agreed(samplings, lambda one: one.cfg),
        sampler=_agreed(samplings, lambda one: one.sampler),
        scheduler=_agreed(samplings, lambda one: one.scheduler),
        denoise=_agreed(samplings, lambda one: one.denoise),
        model=_agreed(samplings, lambda one: one.model),
        width=size[0],
        height=size[1],
        clip_skip=_agreed([node for one in positive for node in one.encoders], lambda node: texts.clip_skip(graph, node)),
        loras=_agreed(bases, lambda base: models.loras(graph, base)) or (),
        prompts=several if len(several) > (prompt is not None) else (),
        settings=_settings(graph, bases),
    )


def _settings(graph: Graph, bases: Sequence[Node]) -> tuple[tuple[str, str], ...]:
    guidance = _agreed(bases, lambda base: seek(graph, base, _GUIDANCE))
    return () if guidance is None else (("guidance", str(guidance)),)


def _agreed(items: Sequence[object], value: Callable[..., T | None]) -> T | None:
    """The value of all of them; None where they differ."""
    values = [value(item) for item in items]
    return values[0] if values and all(other == values[0] for other in values) else None


def _vae(graph: Graph, path: Sequence[Node]) -> str | None:
    """The file of the VAE that decodes, where it is one and not the model's own."""
    names = {seek(graph, node, _VAE) for node in path if "vae" in node.inputs} - {None, "Baked VAE"}
    return names.pop() if len(names) == 1 else None


def _origins(generation: Generation, place: str) -> dict[str, str]:
    apart = ("generator", "origins")
    filled = {name: getattr(generation, name) for name in generation.__struct_fields__ if name not in apart}
    return {name: place for name, value in filled.items() if value not in (None, ())}
