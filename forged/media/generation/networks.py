"""LoRAs as lists name them: objects, rows, or names with their weights in a list beside."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forged.media.generation import values

Named = tuple[object, object, object]
"""Name, weight, hash; whatever stands there."""

_BETWEEN = re.compile(r"[,\s]+")


def networks(names: object, weights: object = None) -> Iterator[Named]:
    """In their order. `weights`: those beside the names, by place."""
    beside = weights if isinstance(weights, list) else _BETWEEN.split(_bare(weights))
    for number, one in enumerate(_listed(names)):
        if values.is_table(one):
            yield _of_object(one)
        elif isinstance(one, list):
            yield _of_row(one)
        else:
            yield one, beside[number] if number < len(beside) else None, None


def _of_object(one: values.Table) -> Named:
    return one.get("name") or one.get("model") or one.get("model_name"), one.get("weight"), one.get("hash")


def _of_row(row: list[object]) -> Named:
    """Fooocus: `[name, weight, hash]`; RuinedFooocus: `[hash, "weight - name"]`."""
    first, second, third = (*row[:3], None, None, None)[:3]
    if isinstance(second, str) and " - " in second:
        weight, _, name = second.partition(" - ")
        return name, weight, first
    return first, second, third


def _listed(names: object) -> list[object]:
    """A list; or a text with commas, also one that Python made of a list (Easy Diffusion in PNG)."""
    if isinstance(names, list):
        return names
    return [name.strip(" '\"") for name in _bare(names).split(",")]


def _bare(text: object) -> str:
    told = text.strip("[] ") if isinstance(text, str) else ""
    return "" if told == "None" else told
