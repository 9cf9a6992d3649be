"""From the nodes that save back along pictures, latents and sound: what took part in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forged.media.generation.comfy.graph import Graph, Node
from forged.media.generation.comfy.passes import is_sampler
from forged.media.generation.comfy.values import handed_on, is_pipe

_SAVES = re.compile(r"save|combine.*video|video.*combine|export|websocket|upload|write", re.IGNORECASE)
_SHOWS = re.compile(r"preview|display|compare|show", re.IGNORECASE)
_SAVES_FILM = re.compile(r"video|webm|animated|film|gif|mp4", re.IGNORECASE)
_SAVES_SOUND = re.compile(r"audio|sound|music|flac|mp3|opus", re.IGNORECASE)

_UNLESS = ("save_output", "save_image", "save_metadata", "embed_workflow")
"""VHS, Impact, WAS: with one of these off, the file is a temporary one, or has no graph in it."""

_FILM_PLACES = ("mp4/", "webm/", "mov/", "mkv/")
_SOUND_PLACES = ("flac/", "mp3/", "opus/", "ogg/", "wav/", "m4a/")

_BESIDE = re.compile(
    r"model|clip|vae|positive|negative|conditioning|cond\d|text|prompt|string|control|reference|ref_|mask|sampler|sigmas|noise|guider"
    r"|scheduler|lora|detector|adapter|width|height|seed|steps|cfg|denoise|fps|frame_rate|filename|hook|script|style|meta",
    re.IGNORECASE,
)
"""Inputs that carry no picture, latent or sound, or one that only steers."""

_MEDIA = re.compile(r"image|latent|samples|pixels|video|frames|embeds|audio", re.IGNORECASE)


class Feeders:
    """The nodes whose picture, latents or sound a node takes, each worked out once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, list[Node]] = {}

    def __call__(self, node: Node) -> list[Node]:
        if node.id not in self._known:
            self._known[node.id] = _feeders(self._graph, node)
        return self._known[node.id]


def path(graph: Graph, feeders: Feeders, place: str) -> list[Node]:
    """The nodes between the first latents and what was saved, each after what feeds it.

    A file does not say which of several saving nodes wrote it: then it is the way to all of them, less those that write another
    kind of file. Where nothing saves, what shows counts; where nothing shows, the samplers that feed nothing.
    """
    for starts in _tiers(graph, place):
        nodes = graph.upstream(starts, feeders)
        if any(is_sampler(graph, node) for node in nodes):
            return nodes
    return []


def _feeders(graph: Graph, node: Node) -> list[Node]:
    """Sound counts only where a node takes nothing else, and pipes likewise."""
    handed = graph.source(handed_on(graph, node))
    if handed is not None:
        return [handed]
    links = [(name, source) for name, source in graph.links(node) if is_pipe(name) or not _BESIDE.search(name)]
    pipes = [source for name, source in links if is_pipe(name)]
    sound = [source for name, source in links if "audio" in name]
    plain = [source for name, source in links if not is_pipe(name) and "audio" not in name]
    if is_sampler(graph, node):
        plain = [source for name, source in links if _MEDIA.search(name) and "audio" not in name]
    return plain or sound or pipes


def _tiers(graph: Graph, place: str) -> Iterator[list[Node]]:
    saving = [node for node in graph.nodes.values() if _is_saving(node)]
    yield _of_this_kind(saving, place)
    yield saving
    yield [node for node in graph.nodes.values() if _SHOWS.search(node.kind)]
    fed = {id for node in graph.nodes.values() for _, id in node.links}
    yield [node for node in graph.nodes.values() if node.id not in fed]
    yield list(graph.nodes.values())


def _is_saving(node: Node) -> bool:
    if any(node.inputs.get(name) in (False, "false") for name in _UNLESS):
        return False
    image_output = node.inputs.get("image_output")  # easy-use and tinyterra: samplers that save by themselves
    if isinstance(image_output, str):
        return "Save" in image_output
    return "filename_prefix" in node.inputs or bool(_SAVES.search(node.kind))


def _of_this_kind(saving: list[Node], place: str) -> list[Node]:
    if place.startswith(_FILM_PLACES):
        return [node for node in saving if _SAVES_FILM.search(node.kind)]
    if place.startswith(_SOUND_PLACES):
        return [node for node in saving if _SAVES_SOUND.search(node.kind)]
    return []
