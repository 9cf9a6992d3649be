"""The text that a node puts out, where the graph says it: written, joined, shown, picked. What is made at run time is unknown."""

from __future__ import annotations

import re

from forged.media.generation.comfy.graph import Graph, Node
from forged.media.generation.comfy.values import handed_on

MAX_TEXT_CHARS = 1 << 20
"""Joining a text with itself doubles it: 40 nodes would make terabytes."""

_MAX_DEPTH = 50
"""Texts are joined in steps; so many on top of each other nobody has."""

_HOLDS = ("populated_text", "text", "string", "value", "prompt", "Text", "String", "content")
_POSITIVE = ("positive", "positive_prompt", "text_positive")
_NEGATIVE = ("negative", "negative_prompt", "text_negative")

_PART = re.compile(r"^(text|string|prompt|part|str|input|value)_?(\d{1,3}|[a-z])$", re.IGNORECASE)
_BETWEEN = ("delimiter", "separator", "delim", "sep")
_JOINS = re.compile(r"concat|join|append|combine", re.IGNORECASE)

_COMPUTES = re.compile(
    r"llm|gpt|ollama|gemini|claude|florence|caption|enhanc|translat|tagger|interrogat|joy|describe|vlm|qwen.?\d?.?vl|generat|deepseek"
    r"|random|replace|regex|trim|case|slice|split|extract|truncat|tipo|upsampl|style|format|json|refine.?prompt",
    re.IGNORECASE,
)
_OF_A_MODEL = frozenset({"temperature", "max_tokens", "max_new_tokens", "max_length", "top_p", "top_k", "api_key", "sampling_mode"})
_UNTIDY = re.compile(r"\s\s|\s,|,,|^\s|\s$")
_CHANCE = re.compile(r"__[\w/*-]{1,100}__|\{[^{}]*\|[^{}]*\}")
_DRAWS = re.compile(r"wildcard|dynamic", re.IGNORECASE)


class Strings:
    """The texts of one graph's nodes, each worked out once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[tuple[str, bool], str | None] = {}

    def value(self, node: Node, name: str, is_positive: bool) -> str | None:
        """The text of one input; None where it is made at run time, or is no text."""
        value = node.inputs.get(name)
        source = self._graph.source(value)
        if source is not None:
            return self.output(source, is_positive)
        return self.written(node, value, is_populated=name == "populated_text")

    def written(self, node: Node, value: object, is_populated: bool = False) -> str | None:
        """A text that stands in the node itself; None where the node makes another of it."""
        if not isinstance(value, str) or _computes(node):
            return None
        return None if _DRAWS.search(node.kind) and not is_populated and _CHANCE.search(value) else value

    def is_string(self, node: Node) -> bool:
        """Whether a node's output is a text."""
        return any(name in node.inputs for name in _HOLDS) or _is_join(node)

    def output(self, node: Node, is_positive: bool, depth: int = 0) -> str | None:
        """The text that comes out of a node."""
        key = (node.id, is_positive)
        if key not in self._known:
            self._known[key] = None  # for whoever asks again while this is worked out: a loop
            text = None if depth > _MAX_DEPTH or _computes(node) else self._worked_out(node, is_positive, depth)
            self._known[key] = text if text is not None and len(text) <= MAX_TEXT_CHARS else None
        return self._known[key]

    def _worked_out(self, node: Node, is_positive: bool, depth: int) -> str | None:
        handed = handed_on(self._graph, node)
        if handed is not None:
            return self._followed(node, handed, is_positive, depth)
        if _is_join(node):
            return self._joined(node, is_positive, depth)
        names = _HOLDS + (_POSITIVE if is_positive else _NEGATIVE)
        name = next((name for name in names if isinstance(node.inputs.get(name), (str, list))), "")
        if name == "populated_text":
            return self.value(node, name, is_positive)
        return self._followed(node, node.inputs.get(name), is_positive, depth)

    def _followed(self, node: Node, value: object, is_positive: bool, depth: int) -> str | None:
        source = self._graph.source(value)
        return self.written(node, value) if source is None else self.output(source, is_positive, depth + 1)

    def _joined(self, node: Node, is_positive: bool, depth: int) -> str | None:
        names = [name for name in node.inputs if _PART.match(name)]
        parts = [self._followed(node, node.inputs[name], is_positive, depth) for name in names]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or sum(map(len, known)) > MAX_TEXT_CHARS:
            return None
        if str(node.inputs.get("clean_whitespace")).lower() == "true":  # WAS: empty ones leave no delimiter behind
            known = [part.strip() for part in known if part.strip()]
        if "action" in node.inputs:
            return _appended(node, [part for part in known if part])
        between = node.first(_BETWEEN)
        return (between if isinstance(between, str) else "").replace("\\n", "\n").join(known)


def _appended(node: Node, parts: list[str]) -> str | None:
    """StringFunction of pysssss: append or replace, and with tags tidied or not; None where that changes more than it joins."""
    is_tidied = node.inputs.get("tidy_tags") == "yes"
    text = (", " if is_tidied else "").join(parts)
    return None if node.inputs["action"] != "append" or (is_tidied and _UNTIDY.search(text)) else text


def _is_join(node: Node) -> bool:
    if not any(_PART.match(name) for name in node.inputs):
        return False
    return any(name in node.inputs for name in (*_BETWEEN, "tidy_tags")) or bool(_JOINS.search(node.kind))


def _computes(node: Node) -> bool:
    """Whether a node makes a new text of what it is given: language models, random choices, replacing, styles."""
    return bool(_COMPUTES.search(node.kind)) or any(name in _OF_A_MODEL for name in node.inputs)
