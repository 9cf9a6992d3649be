"""What an XMP packet says, read by our own strict and bounded reader (ISO 16684-1, the RDF/XML that XMP allows).

It decides whether a sidecar that lies at home may be given to exiftool at all, checks what exiftool has made of it, and tells what
is in it. What two readers could take for two different things is refused: a document type, entities, another encoding than UTF-8
(exiftool 12.57 does not look at the declared one), another root than XMP has (it would take `<svg>` for a picture).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"

MOST_DEPTH = 60
"""Structures in structures; darktable's history and Lightroom's masks nest about a dozen deep."""

MOST_NODES = 100_000
"""Elements and attributes. A history of ten thousand edits has fewer."""

DEFAULT_LANGUAGE = "x-default"

_LISTS = frozenset(f"{RDF} {name}" for name in ("Bag", "Seq", "Alt"))
_ITEM, _DESCRIPTION, _RDF = f"{RDF} li", f"{RDF} Description", f"{RDF} RDF"
_ROOTS = frozenset(("adobe:ns:meta/ xmpmeta", "adobe:ns:meta/ xapmeta"))
"""The second is how it was called before 2004."""
_LANGUAGE = f"{XML} lang"
_DATATYPE = f"{RDF} datatype"
_SYNTAX = frozenset(f"{RDF} {name}" for name in ("about", "parseType", "ID", "nodeID", "datatype"))


class NotXmp(Exception):
    """It is no packet that we understand; the words say why."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What a packet says. Names are `namespace local` as expat joins them, with one blank between."""

    values: Mapping[str, Sequence[str]]
    """Top-level properties that are a text or a list of texts; of alternatives in several languages the default one comes first."""
    facts: Counter[tuple[str, str]]
    """Everything in it, at any depth: the way there and the text. Items of a list are told apart by their place in it (so a history
    keeps its order, and a face its name), alternatives by their language."""
    opaque: frozenset[str] = frozenset()
    """Top-level properties that are there and are neither: structures, references, texts with qualifiers, what is said twice."""


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
    values: dict[str, list[str]] = {}
    opaque: set[str] = set()
    facts: Counter[tuple[str, str]] = Counter()
    for description in _descriptions(_tree(content)):
        for name, texts in _properties(description):
            if texts is None or name in values:
                opaque.add(name)
            else:
                values[name] = texts
        _gather(description, facts)
    return Packet({name: texts for name, texts in values.items() if name not in opaque}, facts, frozenset(opaque))


def _descriptions(root: _Node) -> Sequence[_Node]:
    if root.name in _ROOTS and len(root.children) == 1:
        root = root.children[0]
    if root.name != _RDF:
        raise NotXmp("its root is not that of XMP, or does not hold one rdf:RDF")
    if any(one.name != _DESCRIPTION for one in root.children):
        raise NotXmp("it holds something beside rdf:Description")
    return root.children


def _properties(description: _Node) -> Iterator[tuple[str, list[str] | None]]:
    """Each with its text or texts; None if it is something else."""
    for name, text in description.attributes.items():
        if name not in _SYNTAX:
            yield name, [text]
    for prop in description.children:
        yield prop.name, _texts(prop)


def _texts(prop: _Node) -> list[str] | None:
    if not prop.children:
        return [prop.words] if _is_plain(prop) else None
    (first, *more) = prop.children
    items = first.children
    if more or first.name not in _LISTS or not _is_plain(prop) or not all(one.name == _ITEM and _is_plain(one) for one in items):
        return None
    return [one.words for one in sorted(items, key=lambda one: one.attributes.get(_LANGUAGE, DEFAULT_LANGUAGE) != DEFAULT_LANGUAGE)]


def _is_plain(node: _Node) -> bool:
    """A text, perhaps with its language; or a property around one list."""
    inside = not node.children or node.name != _ITEM
    return inside and all(name in (_LANGUAGE, _DATATYPE) for name in node.attributes)


def _gather(description: _Node, facts: Counter[tuple[str, str]]) -> None:
    """Everything below it. What only groups (Description inside a property, parseType) is no step of the way."""
    left = [(description, "")]
    while left:
        one, to = left.pop()
        for name, text in one.attributes.items():
            if name not in _SYNTAX and not (name == _LANGUAGE and text == DEFAULT_LANGUAGE):
                facts[f"{to}/{name}", text] += 1
        if one.children:
            if one.words.strip():
                raise NotXmp("it has text between elements")
            left += [(child, to + _step(child, at)) for at, child in enumerate(one.children)]
        elif one is not description and (one.words.strip() or not one.attributes) and one.name not in (*_LISTS, _DESCRIPTION):
            facts[to, one.words] += 1


def _step(child: _Node, at: int) -> str:
    if child.name == _DESCRIPTION:
        return ""
    return f"/{child.name}[{child.attributes.get(_LANGUAGE, at)}]" if child.name == _ITEM else f"/{child.name}"


def _tree(content: bytes) -> _Node:
    """The elements, as they nest."""
    builder = _Builder()
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        content.decode("utf-8")  # expat follows a byte order mark all the same
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError) as e:
        raise NotXmp(f"it is no well-formed XML in UTF-8 ({e})") from e
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
