"""Media info as answers of the control socket (model/rpc/media)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from forged.daemon import answers
from forged.model import rpc
from forged.model.media import Generation, Lora, MediaInfo, RawBlock, Sampling

ROOM_BYTES = 900_000
"""For all of it, as JSON text: the answer may have 1 MiB with what else is known of the file."""

PROMPT_BYTES, NEGATIVE_BYTES, LIST_BYTES = 300_000, 150_000, 60_000
"""Of single fields. The longest prompts that people write have some thousands; 64 KiB come through whole. A hostile file holds
megabytes, or thousands of settings."""


def media(info: MediaInfo, *, raw: bool) -> rpc.MediaInfo:
    """`raw`: with the texts themselves, as many as fit."""
    made = generation(info.generation) if info.generation is not None else None
    return {
        "kind": info.kind.value,
        "format": info.format,
        "width": info.width,
        "height": info.height,
        "duration_s": info.duration_s,
        "fps": info.fps,
        "frames": info.frames,
        "generation": made,
        "raw": texts(info.raw, ROOM_BYTES - answers.json_bytes(made)) if raw else places(info.raw),
        "dhash": info.likeness.dhash.hex() if info.likeness.dhash is not None else None,
        "pixels_sha256": info.likeness.pixels_sha256.hex() if info.likeness.pixels_sha256 is not None else None,
        "problems": answers.fitting(info.problems, LIST_BYTES),
    }


def generation(made: Generation) -> rpc.Generation:
    return {
        "generator": made.generator,
        "version": made.version,
        "prompt": clipped(made.prompt, PROMPT_BYTES),
        "negative_prompt": clipped(made.negative_prompt, NEGATIVE_BYTES),
        "seed": made.seed,
        "steps": made.steps,
        "cfg": made.cfg,
        "sampler": made.sampler,
        "scheduler": made.scheduler,
        "model": made.model,
        "model_hash": made.model_hash,
        "width": made.width,
        "height": made.height,
        "denoise": made.denoise,
        "clip_skip": made.clip_skip,
        "vae": made.vae,
        "loras": answers.fitting([lora(one) for one in made.loras], LIST_BYTES),
        "samplings": answers.fitting([sampling(one) for one in made.samplings], LIST_BYTES),
        "prompts": answers.fitting([clipped(text, LIST_BYTES // 4) or "" for text in made.prompts], LIST_BYTES),
        "settings": answers.fitting([setting(name, value) for name, value in made.settings], LIST_BYTES),
        "origins": dict(made.origins),
        "graph": made.graph,
        "workflow": made.workflow,
    }


def sampling(one: Sampling) -> rpc.Sampling:
    fields: rpc.Sampling = structs.asdict(one)  # type: ignore[assignment]  # field for field the same
    return fields


def lora(one: Lora) -> rpc.Lora:
    return {"name": one.name, "weight": one.weight, "hash": one.hash}


def setting(name: str, value: str) -> rpc.Setting:
    return {"name": clipped(name, 1_000) or "", "value": clipped(value, LIST_BYTES // 4) or ""}


def clipped(text: str | None, most_bytes: int) -> str | None:
    """Its beginning, where it is absurdly long as it will be written."""
    if text is None or len(text) * 6 <= most_bytes or (size_bytes := answers.json_bytes(text)) <= most_bytes:
        return text
    return f"{text[: len(text) * most_bytes // size_bytes // 2]} …"


def places(blocks: Sequence[RawBlock]) -> list[rpc.RawBlock]:
    """Where the texts are."""
    return answers.fitting([{"place": one.place, "chars": len(one.text)} for one in blocks], LIST_BYTES)


def texts(blocks: Sequence[RawBlock], room_bytes: int) -> list[rpc.RawBlock]:
    """The texts as they are, as many as there is room for; the one that does not fit any more is cut, and those after it empty."""
    told: list[rpc.RawBlock] = []
    for one in blocks:
        text = one.text if answers.json_bytes(one.text) <= room_bytes else clipped(one.text, max(room_bytes, 0)) or ""
        told.append({"place": one.place, "chars": len(one.text), "text": text})
        room_bytes -= answers.json_bytes(told[-1])
    return told
