"""Samplers: which nodes are some, what each was given, and in which order they followed each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from forged.media.generation.comfy import models
from forged.media.generation.comfy.graph import Graph, Node
from forged.media.generation.comfy.values import Wanted, as_count, as_float, as_name, as_seed, is_pipe, seek
from forged.model.media import Sampling

MAX_SAMPLINGS = 64
"""So many are described. Films made of many pieces have about twenty; more are made to keep us busy."""

_SEED = Wanted(("seed", "noise_seed", "rand_seed"), as_seed, ("noise",))
_STEPS = Wanted(("steps", "num_inference_steps", "num_steps", "sampling_steps", "steps_total"), as_count, ("sigmas", "scheduler"))
_CFG = Wanted(("cfg", "cfg_scale", "guidance_scale", "cfg_conds"), as_float, ("guider",))
_SAMPLER = Wanted(("sampler_name", "sampler"), as_name)
_SCHEDULER = Wanted(("scheduler",), as_name, ("sigmas",))
_DENOISE = Wanted(("denoise", "denoise_strength"), as_float, ("sigmas",))

_OF_A_SAMPLER = (
    "cfg",
    "cfg_scale",
    "guidance_scale",
    "sampler_name",
    "sampler",
    "scheduler",
    "denoise",
    "positive",
    "conditioning",
    "latent_image",
)
_NO_SAMPLER = re.compile(r"pre.?sampling|select|config|settings|scheduler", re.IGNORECASE)
"""They hold what a sampler is given. easy-use's `preSampling` has all of it, and its `kSampler` nothing but the pipe."""


def is_sampler(graph: Graph, node: Node) -> bool:
    """Whether a node on the path makes pictures, latents or sound out of noise: by its inputs, or by its name and a pipe.

    A node that calls a service (`FluxProUltraImageNode`) has a prompt and a seed and no steps.
    """
    inputs = node.inputs
    if _NO_SAMPLER.search(node.kind):
        return False
    if "sigmas" in inputs and ("guider" in inputs or "sampler" in inputs):
        return True
    if any(name in inputs for name in _SEED.names):
        has_steps = any(name in inputs for name in _STEPS.names)
        return (has_steps and any(name in inputs for name in _OF_A_SAMPLER)) or ("prompt" in inputs and "clip" not in inputs)
    return "sampler" in node.kind.lower() and any(is_pipe(name) for name in inputs)


def in_order(graph: Graph, path: Sequence[Node], feeders: Callable[[Node], Sequence[Node]]) -> list[list[Node]]:
    """The samplers of a path by how many others came before them: the base ones first. Within these, as the graph has them."""
    before: dict[str, int] = {}
    rows: defaultdict[int, list[Node]] = defaultdict(list)
    for node in path:
        rank = max((before.get(fed.id, 0) for fed in feeders(node)), default=0)
        before[node.id] = rank + is_sampler(graph, node)
        if before[node.id] > rank:
            rows[rank].append(node)
    place = {id: number for number, id in enumerate(graph.nodes)}
    return [sorted(rows[rank], key=lambda node: place[node.id]) for rank in sorted(rows)]


def sampling(graph: Graph, node: Node) -> Sampling:
    """What one of them was given."""
    return Sampling(
        id=node.id,
        seed=seek(graph, node, _SEED),
        steps=seek(graph, node, _STEPS),
        cfg=seek(graph, node, _CFG),
        sampler=seek(graph, node, _SAMPLER),
        scheduler=seek(graph, node, _SCHEDULER),
        denoise=seek(graph, node, _DENOISE),
        model=models.model(graph, node),
    )
