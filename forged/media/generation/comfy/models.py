"""The model of a sampler, and what was applied to it on the way (LoRAs)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from forged.media.generation.comfy.graph import MAX_HOPS, Graph, Node
from forged.media.generation.comfy.values import Wanted, as_float, as_int, as_name, handed_on, is_pipe, seek
from forged.model.media import Lora

MAX_LORAS = 200

_FILES = ("ckpt_name", "base_ckpt_name", "unet_name", "model_name", "diffusion_model", "gguf_name", "model_path")
_LOOSER_FILES = ("checkpoint", "transformer", "unet", "model", "model_id", "repo_id")
_FILE = Wanted(_FILES + _LOOSER_FILES, as_name)
"""CheckpointLoaderSimple, UNETLoader, UnetLoaderGGUF, WanVideoModelLoader (`model`), Efficient Loader, diffusers' loaders."""

_MODEL = re.compile(r"^(opt_|optional_)?(base_)?(model|unet)s?(_?\d|_opt|_a|_b)?$")
_STACK = re.compile(r"^(optional_|opt_)?(prev_)?lora(s|_stack|_params)?$")
_BUNDLE = frozenset({"guider", "model_stack", "loader_settings"})

_LORA = re.compile(r"^lora_?(name)?_?(\d*)(_name)?$")
"""`lora_name` (LoraLoader), `lora` (WanVideoLoraSelect), `lora_name_1` (stacks), `lora_01` (rgthree), `lora_1_name` (easy-use)."""

_IN_TEXT = re.compile(r"<lora:([^<>:]{1,200})(?::(-?\d{1,3}(?:\.\d{1,6})?))?[^<>]{0,40}>")
"""As A1111 writes it; nodes that understand it cut it out of the prompt and apply it to the model."""


def model(graph: Graph, node: Node) -> str | None:
    """The file, as the graph names it. None where several were merged."""
    names = {name for loader in _way(graph, node) if (name := _file(graph, loader)) is not None}
    return names.pop() if len(names) == 1 else None


def loras(graph: Graph, node: Node) -> tuple[Lora, ...]:
    """Those between a sampler and its model, from the sampler on. What is switched off or has no weight is none."""
    found = [lora for step in _way(graph, node) for lora in _loras(graph, step)]
    return tuple(dict.fromkeys(found))[:MAX_LORAS]


def _way(graph: Graph, node: Node) -> Iterator[Node]:
    """The nodes that the model comes through, from the sampler on."""
    seen: set[str] = {node.id}
    left = _before(graph, node)[::-1]
    for _ in range(MAX_HOPS):
        if not left:
            return
        step = left.pop()
        if step.id not in seen:
            seen.add(step.id)
            yield step
            left += reversed(_before(graph, step))


def _before(graph: Graph, node: Node) -> list[Node]:
    handed = graph.source(handed_on(graph, node))
    if handed is not None:
        return [handed]
    links = list(graph.links(node))
    found = [source for name, source in links if _STACK.match(name)]
    has_model = [source for name, source in links if _MODEL.match(name) or name in _BUNDLE]
    return found + (has_model or [source for name, source in links if is_pipe(name)])


def _file(graph: Graph, node: Node) -> str | None:
    """The model that this node loads. One that takes a model from another loads none: its names are those of patches."""
    if node.first(_FILE.names) is None:
        return None
    is_fed = any(_MODEL.match(name) for name, _ in graph.links(node))
    return None if is_fed else seek(graph, node, _FILE)


def _loras(graph: Graph, node: Node) -> Iterator[Lora]:
    for name, value in graph.entries(node):
        found = _LORA.match(name)
        if isinstance(value, dict) and "lora" in value:
            yield from _entry(value, "lora")
        elif isinstance(value, dict):
            yield from _listed(value)
        elif found and not (_STACK.match(name) and graph.source(value) is not None):
            yield from _numbered(graph, node, name, found[2])
        elif isinstance(value, str) and "<lora:" in value and node.kind != "CLIPTextEncode":
            yield from (Lora(text[1], as_float(float(text[2])) if text[2] else None) for text in _IN_TEXT.finditer(value))


def _listed(value: Mapping[str, object]) -> Iterator[Lora]:
    """A list of them: the frontend wraps lists that are no links as `{"__value__": [ … ]}`."""
    entries = value.get("__value__")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield from _entry(entry, "name")


def _entry(value: Mapping[str, object], key: str) -> Iterator[Lora]:
    """`{"on": true, "lora": …, "strength": …}` of rgthree's Power Lora Loader, `{"active": true, "name": …}` of LoRA Manager."""
    name, weight = as_name(value.get(key)), as_float(value.get("strength"))
    if name is not None and weight != 0 and value.get("on") is not False and value.get("active") is not False:
        yield Lora(name, weight)


def _numbered(graph: Graph, node: Node, name: str, number: str) -> Iterator[Lora]:
    lora = seek(graph, node, Wanted((name,), as_name))
    if lora is None or _is_off(node, number):
        return
    weight = seek(graph, node, Wanted(_weights(node, number), as_float))
    if weight != 0:
        yield Lora(lora, weight)


def _weights(node: Node, number: str) -> tuple[str, ...]:
    """What nodes call it, with the number of the LoRA before, behind or amidst. Stacks have two sets and a mode that says which."""
    if not number:
        return ("strength_model", "lora_model_strength", "model_strength", "lora_strength", "strength", "lora_weight", "weight")
    detailed = (f"model_str_{number}", f"lora_{number}_model_strength", f"model_weight_{number}", f"strength_model_{number}")
    simple = (f"lora_wt_{number}", f"lora_{number}_strength", f"strength_{number}", f"lora_strength_{number}", f"weight_{number}")
    is_simple = "simple" in (node.inputs.get("input_mode"), node.inputs.get("mode"))
    return simple + detailed if is_simple else detailed + simple


def _is_off(node: Node, number: str) -> bool:
    """Whether this one is switched off, alone or with all, or lies beyond the number of those that count."""
    count = as_int(node.first(("lora_count", "num_loras")))
    if number and count is not None and int(number) > count:
        return True
    switches = (
        (f"switch_{number}", f"lora_{number}_on", f"enabled_{number}", f"on_{number}") if number else ("switch", "enabled", "on")
    )
    return any(node.inputs.get(name) in (False, "Off", "off", "False") for name in (*switches, "toggle"))
