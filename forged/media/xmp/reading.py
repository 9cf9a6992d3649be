"""What an XMP packet says, read by our own strict and bounded reader (ISO 16684-1, the RDF/XML that XMP allows).

It decides whether a sidecar that lies at home may be given to exiftool at all, checks what exiftool has made of it, and tells what
is in it. A packet with a document type or entities is refused: they are not needed, and how they are expanded is not ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
META = "adobe:ns:meta/"

MOST_DEPTH = 60
"""Structures in structures; darktable's history and Lightroom's masks nest about a dozen deep."""

MOST_NODES = 200_000
"""Elements and attributes. A history of ten thousand edits has fewer."""

DEFAULT_LANGUAGE = "x-default"

_LISTS = frozenset(f"{RDF} {name}" for name in ("Bag", "Seq", "Alt"))
_ITEM, _DESCRIPTION, _ROOT = f"{RDF} li", f"{RDF} Description", f"{RDF} RDF"
_LANGUAGE = f"{XML} lang"
_SYNTAX = frozenset(f"{RDF} {name}" for name in ("about", "parseType", "ID", "nodeID", "datatype"))


class NotXmp(Exception):
    """It is no packet that we understand; the words say why."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What a packet says. Names are `namespace local` as expat joins them, with one blank between."""

    values: Mapping[str, Sequence[str]]
    """Top-level properties that are a text or a list of texts; of alternatives in several languages the default one comes first."""
    facts: Counter[tuple[str, str]]
    """Everything in it, at any depth: the way there and the text. Order inside a list is not told."""


@dataclass(slots=True)
class _Node:
    name: str
    attributes: dict[str, str]
    children: list[_Node] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return "".join(self.text)


def read(content: bytes) -> Packet:
    """Raises NotXmp. Time and memory in proportion to the content."""
    root = _tree(content)
    rdf = root if root.name == _ROOT else next((one for one in root.children if one.name == _ROOT), None)
    if rdf is None:
        raise NotXmp("it holds no rdf:RDF")
    values: dict[str, list[str]] = {}
    facts: Counter[tuple[str, str]] = Counter()
    for description in rdf.children:
        if description.name != _DESCRIPTION:
            raise NotXmp("it holds something beside rdf:Description")
        for name, text in description.attributes.items():
            if name not in _SYNTAX:
                values.setdefault(name, []).append(text)
        for prop in description.children:
            values.setdefault(prop.name, []).extend(_texts(prop))
        _gather(description, "", facts)
    return Packet(values, facts)


def _texts(prop: _Node) -> list[str]:
    """The text of a property, or those of its list; none of a structure."""
    if not prop.children:
        inside = [name for name in prop.attributes if name not in _SYNTAX and name != _LANGUAGE]
        return [] if inside else [prop.words]
    lists = [one for one in prop.children if one.name in _LISTS]
    items = [item for one in lists for item in one.children if item.name == _ITEM and not item.children]
    return [
        item.words for item in sorted(items, key=lambda item: item.attributes.get(_LANGUAGE, DEFAULT_LANGUAGE) != DEFAULT_LANGUAGE)
    ]


def _gather(node: _Node, way: str, facts: Counter[tuple[str, str]]) -> None:
    """Everything below a node. What only groups (Description inside a property, parseType) is no step of the way."""
    left = [(node, way)]
    while left:
        one, to = left.pop()
        for name, text in one.attributes.items():
            if name not in _SYNTAX and not (name == _LANGUAGE and text == DEFAULT_LANGUAGE):
                facts[f"{to}/{name}", text] += 1
        if one.children:
            left += [(child, to if child.name == _DESCRIPTION else f"{to}/{child.name}") for child in one.children]
        elif one is not node and (one.words.strip() or not one.attributes) and one.name not in _LISTS and one.name != _DESCRIPTION:
            facts[to, one.words] += 1


def _tree(content: bytes) -> _Node:
    """The elements, as they nest."""
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as e:  # the latter two: an encoding that Python does not know
        raise NotXmp(f"it is no well-formed XML ({e})") from e
    if builder.root is None:
        raise NotXmp("it is empty")
    return builder.root


def _refuse(*_: object) -> None:
    raise NotXmp("it declares a document type or entities")


class _Builder:
    """Takes expat's calls."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self._open: list[_Node] = []
        self._nodes = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1 + len(attributes)
        if len(self._open) >= MOST_DEPTH or self._nodes > MOST_NODES:
            raise NotXmp("it nests too deep, or holds too much")
        node = _Node(name, attributes)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, _: str) -> None:
        self._open.pop()

    def characters(self, text: str) -> None:
        self._open[-1].text.append(text)
