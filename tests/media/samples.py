"""What the manifest of the real samples expects, compared with what was found, by the rules that it states (`about`, `policy`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forged.model.media import Generation

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
_MANIFEST = SAMPLES / "manifest.json"

FILES: list[dict[str, Any]] = json.loads(_MANIFEST.read_bytes())["files"] if _MANIFEST.exists() else []

_NOT_FIELDS = ("full_prompt", "full_negative_prompt")
"""Of Fooocus: what it made of the prompt. Here a setting, several times."""


def mismatches(expected: Mapping[str, Any], made: Generation | None) -> Iterator[str]:
    """Each expected field that was not found so, in words."""
    for field, value in expected.items():
        if field.endswith("_any_of") or field in _NOT_FIELDS:
            continue
        found = _found(field, value, made)
        if not any(_plain(field, one) == found for one in (value, *expected.get(f"{field}_any_of", ()))):
            yield f"{field}: {found!r} instead of {value!r}"


def _found(field: str, value: Any, made: Generation | None) -> Any:
    if made is None:
        return False if field.startswith("has_") else None
    if field == "loras":
        return [_known({"name": one.name, "weight": one.weight, "hash": one.hash}) for one in made.loras]
    if field == "samplers":
        return [{key: _text(getattr(one, key)) for key in keys} for one, keys in zip(made.samplings, _keys(value), strict=False)]
    if field == "prompts_all":
        return sorted(str(_text(one)) for one in made.prompts)
    ours = {"gen_width": "width", "gen_height": "height", "has_comfy_prompt": "graph", "has_workflow": "workflow"}
    told = getattr(made, ours.get(field, field))
    return told is not None if field.startswith("has_") else _text(told)


def _plain(field: str, value: Any) -> Any:
    """An expected value in the form of `_found`."""
    if field == "samplers":
        return [{key: _text(one[key]) for key in keys} for one, keys in zip(value, _keys(value), strict=True)]
    if field == "loras":
        return [_known(one) for one in value]
    return sorted(str(_text(one)) for one in value) if field == "prompts_all" else _text(value)


def _keys(samplers: list[dict[str, Any]]) -> list[list[str]]:
    """Of what the manifest says of a sampler, what a Sampling has, too."""
    return [
        [key for key in one if key in ("id", "seed", "steps", "cfg", "sampler", "scheduler", "denoise", "model")]
        for one in samplers
    ]


def _known(lora: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in lora.items() if value is not None}


def _text(value: Any) -> Any:
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value
