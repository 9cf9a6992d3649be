"""Media info as answers of the control socket (model/rpc/media)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from forged.daemon import answers
from forged.model import rpc
from forged.model.media import Generation, Lora, MediaInfo, RawBlock, Sampling

ROOM_BYTES = 750_000
"""For all of it, as JSON text: the answer may have 1 MiB with what else is known of the file."""

PROMPT_BYTES, NEGATIVE_BYTES, LIST_BYTES, WORD_BYTES = 250_000, 120_000, 50_000, 2_000
"""Of single fields. The longest prompts that people write have some thousands; 64 KiB come through whole. A hostile file holds
megabytes, or thousands of settings."""


def media(info: MediaInfo, *, raw: bool) -> rpc.MediaInfo:
    """`raw`: with the texts themselves, as many as fit."""
    made = generation(info.generation) if info.generation is not None else None
    return {
        "kind": info.kind.value,
        "format": word(info.format),
        "width": info.width,
        "height": info.height,
        "duration_s": info.duration_s,
        "fps": info.fps,
        "frames": info.frames,
        "generation": made,
        "raw": texts(info.raw, ROOM_BYTES - answers.json_bytes(made)) if raw else places(info.raw),
        "dhash": info.likeness.dhash.hex() if info.likeness.dhash is not None else None,
        "pixels_sha256": info.likeness.pixels_sha256.hex() if info.likeness.pixels_sha256 is not None else None,
        "problems": answers.fitting([word(one) for one in info.problems], LIST_BYTES),
    }


def generation(made: Generation) -> rpc.Generation:
    return {
        "generator": word(made.generator),
        "version": clipped(made.version, WORD_BYTES),
        "prompt": clipped(made.prompt, PROMPT_BYTES),
        "negative_prompt": clipped(made.negative_prompt, NEGATIVE_BYTES),
        "seed": clipped(made.seed, WORD_BYTES),
        "steps": made.steps,
        "cfg": made.cfg,
        "sampler": clipped(made.sampler, WORD_BYTES),
        "scheduler": clipped(made.scheduler, WORD_BYTES),
        "model": clipped(made.model, WORD_BYTES),
        "model_hash": clipped(made.model_hash, WORD_BYTES),
        "width": made.width,
        "height": made.height,
        "denoise": made.denoise,
        "clip_skip": made.clip_skip,
        "vae": clipped(made.vae, WORD_BYTES),
        "loras": answers.fitting([lora(one) for one in made.loras], LIST_BYTES),
        "samplings": answers.fitting([sampling(one) for one in made.samplings], LIST_BYTES),
        "prompts": answers.fitting([clipped(text, LIST_BYTES // 4) or "" for text in made.prompts], LIST_BYTES),
        "settings": answers.fitting([setting(name, value) for name, value in made.settings], LIST_BYTES),
        "origins": {name: word(place) for name, place in made.origins.items()},
        "graph": clipped(made.graph, WORD_BYTES),
        "workflow": clipped(made.workflow, WORD_BYTES),
    }


def sampling(one: Sampling) -> rpc.Sampling:
    told = {name: word(value) if isinstance(value, str) else value for name, value in structs.asdict(one).items()}
    fields: rpc.Sampling = told  # type: ignore[assignment]  # field for field the same
    return fields


def lora(one: Lora) -> rpc.Lora:
    return {"name": word(one.name), "weight": one.weight, "hash": clipped(one.hash, WORD_BYTES)}


def setting(name: str, value: str) -> rpc.Setting:
    return {"name": word(name), "value": clipped(value, LIST_BYTES // 4) or ""}


def word(text: str) -> str:
    """A name, or a sentence."""
    return clipped(text, WORD_BYTES) or ""


def clipped(text: str | None, most_bytes: int) -> str | None:
    """Its beginning, where it is absurdly long as it will be written."""
    if text is None or len(text) * 6 <= most_bytes or (size_bytes := answers.json_bytes(text)) <= most_bytes:
        return text
    return f"{text[: len(text) * most_bytes // size_bytes // 2]} …"


def places(blocks: Sequence[RawBlock]) -> list[rpc.RawBlock]:
    """Where the texts are."""
    return answers.fitting([{"place": word(one.place), "chars": len(one.text)} for one in blocks], LIST_BYTES)


def texts(blocks: Sequence[RawBlock], room_bytes: int) -> list[rpc.RawBlock]:
    """The texts as they are, as many as there is room for; the one that does not fit any more is cut, and those after it empty."""
    told = places(blocks)
    room_bytes -= answers.json_bytes(told) + len(told) * len('"text":,')
    for one, block in zip(told, blocks, strict=False):
        text = block.text if answers.json_bytes(block.text) <= room_bytes else clipped(block.text, max(room_bytes, 0)) or ""
        one["text"] = text
        room_bytes -= answers.json_bytes(text)
    return told
