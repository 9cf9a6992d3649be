"""What a single input is: the value itself, or what nodes hand on to it (primitives, seeds, switches, reroutes, pipes)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from forged.media.generation.comfy.graph import MAX_HOPS, Graph, Node
from forged.media.generation.values import LARGEST_COUNT, SEED_DIGITS

T = TypeVar("T")

_PRIMITIVE = (
    "value",
    "Value",
    "number",
    "Number",
    "int",
    "INT",
    "float",
    "FLOAT",
    "integer",
    "seed",
    "noise_seed",
    "string",
    "text",
)
"""The one input of nodes that hold a single value (PrimitiveInt, INTConstant, ImpactInt, `Seed (rgthree)`, String Literal …)."""

_CONDITIONS = ("switch", "boolean", "cond", "condition", "bool")
_WHEN_TRUE = ("on_true", "tt_value", "true_value", "if_true")
_WHEN_FALSE = ("on_false", "ff_value", "false_value", "if_false")
_PIPE = re.compile("pipe|ctx|context|tuple")
_HANDS_ON = re.compile(r"^Reroute|show|display|preview", re.IGNORECASE)
"""Nodes that show what comes by. The text beside it (ShowText's `text_0`) is what the run before showed."""

_BRANCHES = frozenset(_WHEN_TRUE + _WHEN_FALSE)
_SELECTORS = ("select", "index", "Input", "input", "selected_index")
"""ImpactSwitch, `easy anythingIndexSwitch`, the `CR … Input Switch` family: the number of the input that is handed on."""


@dataclass(frozen=True, slots=True)
class Wanted(Generic[T]):
    """A value that is looked for."""

    names: tuple[str, ...]
    """Inputs that hold it."""
    read: Callable[[object], T | None]
    """What it is, None for what cannot be it."""
    routes: tuple[str, ...] = ()
    """Inputs behind which a node may have it instead, besides pipes."""


def seek(graph: Graph, node: Node, wanted: Wanted[T]) -> T | None:
    """The value that this node was run with; None where the graph does not say."""
    is_for_it = False  # whether the link that was followed carries this value, or a bundle that has it among others
    for _ in range(MAX_HOPS):
        value = node.first(wanted.names)
        if value is None:
            value = handed_on(graph, node)
        if value is None and is_for_it:
            value = node.first(_PRIMITIVE)
        if value is not None:
            is_for_it = True
        else:
            value, is_for_it = _route(graph, node, wanted.routes), False
        source = graph.source(value)
        if source is None:
            return None if value is None else wanted.read(value)
        node = source
    return None


def handed_on(graph: Graph, node: Node) -> object | None:
    """What a node that only hands on hands on: a link or a value. None for all other nodes, and where its choice is unknown."""
    if not node.inputs.keys().isdisjoint(_BRANCHES):
        condition = _condition(graph, node)
        return None if condition is None else node.first(_WHEN_TRUE if condition else _WHEN_FALSE)
    if "witch" in node.kind:
        return _switched(graph, node)
    if not node.links:
        return None
    if len(node.inputs) == 1 or _HANDS_ON.search(node.kind):
        names = [name for name, _ in graph.links(node)]
        return node.inputs[names[0]] if len(names) == 1 else None
    return None


def is_pipe(name: str) -> bool:
    """Whether an input takes many things at once: `pipe`, `basic_pipe`, rgthree's `base_ctx`, Efficiency's `sdxl_tuple`."""
    return _PIPE.search(name) is not None


def _route(graph: Graph, node: Node, routes: tuple[str, ...]) -> object | None:
    """Where to look on: the inputs that may have it, else pipes."""
    names = [name for name in routes if graph.source(node.inputs.get(name)) is not None]
    names = names or [name for name, _ in graph.links(node) if is_pipe(name)]
    return node.inputs[names[0]] if names else None


def _condition(graph: Graph, node: Node) -> bool | None:
    value = node.first(_CONDITIONS)
    for _ in range(MAX_HOPS):
        source = graph.source(value)
        if source is None:
            break
        value = source.first(("value", "boolean", "bool"))
    return value if isinstance(value, bool) else None


def _switched(graph: Graph, node: Node) -> object | None:
    """By its number; without one (`Any Switch (rgthree)`) the first that is connected."""
    selector = node.first(_SELECTORS)
    if selector is None:
        return next((node.inputs[name] for name, _ in graph.links(node)), None)
    source = graph.source(selector)
    number = as_int(source.first(_PRIMITIVE) if source is not None else selector)
    return next((value for name, value in graph.entries(node) if number is not None and _number_of(name) == number), None)


def _number_of(name: str) -> int | None:
    digits = re.search(r"(\d{1,4})$", name)
    return int(digits[1]) if digits else None


def as_int(value: object) -> int | None:
    """A whole number that a person may mean, also where it was written as a float."""
    number = _whole(value)
    return number if number is not None and abs(number) <= LARGEST_COUNT else None


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_count(value: object) -> int | None:
    """Steps."""
    number = as_int(value)
    return number if number is not None and number >= 0 else None


def as_float(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_seed(value: object) -> str | None:
    """Decimal digits. Negative ones ask for a random seed and say nothing of the one that was taken."""
    text = value if isinstance(value, str) else str(_whole(value))
    return text if text.isascii() and text.isdigit() and len(text) <= SEED_DIGITS else None


def as_size(value: object) -> int | None:
    """Pixels, from 1 to a million."""
    number = as_int(value)
    return number if number is not None and 0 < number <= 1_000_000 else None


def as_name(value: object) -> str | None:
    """A name that was picked from a list; pysssss's loaders wrap it together with a picture."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value.strip() and value != "None" else None
