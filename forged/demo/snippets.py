"""A few words of what a file was asked for, read from the file at home: it arrived whole, so its text did, too.

Only for the tour, whose files are its own; what strangers' files say is read elsewhere, and with care.
"""

from __future__ import annotations

import json
from pathlib import Path

import av
from PIL import Image

PROMPT_NODE = "6"
"""The text node of the graph that the tour's ComfyUI writes (demo.recipes.graph)."""


def snippet(path: Path) -> str:
    """The prompt of one of the tour's files; empty where somebody has taken the file away meanwhile."""
    try:
        return prompt(path)
    except (OSError, ValueError, KeyError):
        return ""


def prompt(path: Path) -> str:
    if path.suffix == ".mp4":
        with av.open(str(path)) as film:
            return prompt_of_graph(film.metadata["prompt"])
    with Image.open(path) as picture:
        parameters, graph = picture.info.get("parameters"), picture.info.get("prompt")
    return str(parameters).partition("\n")[0] if parameters else prompt_of_graph(str(graph))


def prompt_of_graph(graph: str) -> str:
    return str(json.loads(graph)[PROMPT_NODE]["inputs"]["text"])
