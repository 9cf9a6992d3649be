"""The API graph of ComfyUI: nodes, and links from an input back to the node that feeds it.

ComfyUI writes it (`nodes.py`, `SaveImage`; `execution.py` runs it) as `{id: {"class_type": …, "inputs": {name: value}}}`. A link is
`[id, number of the output]`, everything else is a value. It comes from a hostile file: ids may be missing, loops may be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_HOPS = 500
"""So far a single value is followed. The longest chains of people's graphs (LoRAs, reroutes) have some dozens."""

MAX_LOOKS = 2_000_000
"""So many inputs are looked at for one graph, which then seems to have no more: about a second. People's graphs need some
thousands, 100,000 nodes half a million; graphs that are walked through again for each of many samplers could take an hour.
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One node as the graph has it."""

    id: str
    kind: str
    """Its `class_type`."""
    inputs: Mapping[str, object]
    links: tuple[tuple[str, str], ...] = ()
    """Its inputs that are fed by nodes, in their order, and the ids of these."""

    def first(self, names: Iterable[str]) -> object | None:
        """The value of the first of these inputs that is there."""
        return next((value for name in names if (value := self.inputs.get(name)) is not None), None)


@dataclass(slots=True)
class Graph:
    """All nodes by their id."""

    nodes: Mapping[str, Node]
    _looks_left: int = MAX_LOOKS

    def source(self, value: object) -> Node | None:
        """The node that a link leads to; None for a value and for a link to nowhere."""
        if not isinstance(value, list) or not is_link(value):
            return None
        self._looks_left -= 1
        return self.nodes.get(str(value[0])) if self._looks_left > 0 else None

    def links(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Its inputs that are fed by nodes, in their order."""
        self._looks_left -= len(node.links)
        for name, id in node.links if self._looks_left > 0 else ():
            if (source := self.nodes.get(id)) is not None:
                yield name, source

    def entries(self, node: Node) -> Iterator[tuple[str, object]]:
        """All its inputs, in their order."""
        self._looks_left -= len(node.inputs)
        if self._looks_left > 0:
            yield from node.inputs.items()

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


def is_link(value: list[object]) -> bool:
    """Whether a list has the form of a link, wherever it leads."""
    return len(value) == 2 and type(value[1]) is int and type(value[0]) in (str, int)


def parse(value: Mapping[str, object]) -> Graph | None:
    """The graph; None where no entry is a node. What else lies beside the nodes (Civitai's `extra`) is left out."""
    nodes = {str(id): node for id, entry in value.items() if (node := _node(str(id), entry)) is not None}
    return Graph(nodes) if nodes else None


def _node(id: str, entry: object) -> Node | None:
    kind = entry.get("class_type") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or not isinstance(entry, dict):
        return None
    inputs = entry.get("inputs")
    if not isinstance(inputs, dict):
        return Node(id, kind, {})
    links = tuple((name, str(value[0])) for name, value in inputs.items() if isinstance(value, list) and is_link(value))
    return Node(id, kind, inputs, links)
