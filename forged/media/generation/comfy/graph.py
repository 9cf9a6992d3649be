"""The API graph of ComfyUI: nodes, and links from an input back to the node that feeds it.

ComfyUI writes it (`nodes.py`, `SaveImage`; `execution.py` runs it) as `{id: {"class_type": …, "inputs": {name: value}}}`. A link is
`[id, number of the output]`, everything else is a value. It comes from a hostile file: ids may be missing, loops may be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_HOPS = 500
"""So far a single value is followed. The longest chains of people's graphs (LoRAs, reroutes) have some dozens."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node as the graph has it."""

    id: str
    kind: str
    """Its `class_type`."""
    inputs: Mapping[str, object]

    def first(self, names: Iterable[str]) -> object | None:
        """The value of the first of these inputs that is there."""
        return next((value for name in names if (value := self.inputs.get(name)) is not None), None)


@dataclass(frozen=True, slots=True)
class Graph:
    """All nodes by their id."""

    nodes: Mapping[str, Node]

    def source(self, value: object) -> Node | None:
        """The node that a link leads to; None for a value and for a link to nowhere."""
        return self.nodes.get(str(value[0])) if is_link(value) and isinstance(value, list) else None

    def links(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Its inputs that are fed by nodes, in their order."""
        for name, value in node.inputs.items():
            if (source := self.source(value)) is not None:
                yield name, source

    def upstream(self, starts: Iterable[Node], before: Callable[[Node], Sequence[Node]]) -> list[Node]:
        """All nodes from which these can be reached, each once and after what it is fed by (loops are cut somewhere)."""
        order: list[Node] = []
        seen: set[str] = set()
        for start in starts:
            stack = [] if start.id in seen else [(start, iter(before(start)))]
            seen.add(start.id)
            while stack:
                following = next((fed for fed in stack[-1][1] if fed.id not in seen), None)
                if following is None:
                    order.append(stack.pop()[0])
                else:
                    seen.add(following.id)
                    stack.append((following, iter(before(following))))
        return order


def is_link(value: object) -> bool:
    """Whether a value has the form of a link, wherever it leads."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    node, slot = value
    return isinstance(node, (str, int)) and isinstance(slot, int) and not isinstance(node, bool) and not isinstance(slot, bool)


def parse(value: Mapping[str, object]) -> Graph | None:
    """The graph; None where no entry is a node. What else lies beside the nodes (Civitai's `extra`) is left out."""
    nodes = {str(id): node for id, entry in value.items() if (node := _node(str(id), entry)) is not None}
    return Graph(nodes) if nodes else None


def _node(id: str, entry: object) -> Node | None:
    kind = entry.get("class_type") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or not isinstance(entry, dict):
        return None
    inputs = entry.get("inputs")
    return Node(id, kind, inputs if isinstance(inputs, dict) else {})
