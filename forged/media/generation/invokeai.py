"""InvokeAI in its forms: `Dream` (1.x), `sd-metadata` (2.x), `invokeai_metadata` (3 to 6), and a graph or workflow alone.

invokeai/app/services/image_files/image_files_disk.py writes the later ones; the first is the command line of its day. It has one
word for sampler and scheduler, so both fields get it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from forged.media.generation import values
from forged.media.generation.blocks import Blocks
from forged.media.generation.draft import Draft
from forged.model.media import Generation, RawBlock

FIELDS: Mapping[str, str] = {
    "version": "app_version",
    "prompt": "positive_prompt",
    "negative_prompt": "negative_prompt",
    "seed": "seed",
    "steps": "steps",
    "cfg": "cfg_scale",
    "sampler": "scheduler",
    "scheduler": "scheduler",
    "width": "width",
    "height": "height",
    "denoise": "strength",
    "clip_skip": "clip_skip",
}

OLD_FIELDS: Mapping[str, str] = {
    "seed": "seed",
    "steps": "steps",
    "cfg": "cfg_scale",
    "sampler": "sampler",
    "width": "width",
    "height": "height",
    "denoise": "strength",
}

FLAGS: Mapping[str, str] = {
    "s": "steps",
    "steps": "steps",
    "S": "seed",
    "seed": "seed",
    "W": "width",
    "width": "width",
    "H": "height",
    "height": "height",
    "C": "cfg",
    "cfg_scale": "cfg",
    "A": "sampler",
    "sampler": "sampler",
    "f": "denoise",
    "strength": "denoise",
}
"""ldm/invoke/args.py (2.3). Others (-G, -U, -cf …) are of what was done afterwards."""

MAX_PROMPT_CHARS = 100_000

_FLAG = re.compile(r"(?:^|\s)--?([A-Za-z_]{1,20})[ =]([^\s\"]{1,100})")
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")


def read(blocks: Blocks) -> Generation | None:
    """The newest form that is there."""
    for form, key in ((_metadata, "invokeai_metadata"), (_old_metadata, "sd-metadata")):
        for block, data in blocks.mappings(key):
            return form(blocks, block, data)
    dream = blocks.first("Dream")
    if dream is not None:
        return _dream(dream)
    return _graph(blocks)


def _metadata(blocks: Blocks, block: RawBlock, data: Mapping[str, object]) -> Generation:
    draft = Draft("InvokeAI", block.place)
    draft.take(data, FIELDS)
    model = values.table(data.get("model"))
    draft.put("model", model.get("name") or model.get("model_name") or data.get("model"))
    draft.put("model_hash", model.get("hash"))
    vae = values.table(data.get("vae"))
    draft.put("vae", vae.get("name") or vae.get("model_name"))
    for one in values.tables(data.get("loras")):
        lora = values.table(one.get("model") or one.get("lora"))
        draft.lora(lora.get("name") or lora.get("model_name"), one.get("weight"), lora.get("hash"))
    draft.rest(data.items(), (*FIELDS.values(), "model", "vae", "loras"))
    return _with_workflow(blocks, draft)


def _old_metadata(blocks: Blocks, block: RawBlock, data: Mapping[str, object]) -> Generation:
    draft, image = Draft("InvokeAI", block.place), values.table(data.get("image"))
    draft.take(image, OLD_FIELDS)
    draft.take(data, {"version": "app_version", "model": "model_weights", "model_hash": "model_hash"})
    written = image.get("prompt")
    parts = [one.get("prompt") for one in values.tables(written)] if isinstance(written, list) else [written]
    _prompts(draft, " ".join(part for part in parts if isinstance(part, str)))
    draft.rest(image.items(), (*OLD_FIELDS.values(), "prompt"))
    return _with_workflow(blocks, draft)


def _dream(block: RawBlock) -> Generation | None:
    """`"the prompt [what not]" -s 50 -S 2980747362 -W 512 -H 768 -C 5 -A k_lms`."""
    text = block.text.strip()[:MAX_PROMPT_CHARS]
    end = text.rfind('" -') if text.startswith('"') else -1
    prompt, flags = (text[1:end], text[end + 1 :]) if end > 0 else _unquoted(text)
    draft = Draft("InvokeAI", block.place)
    _prompts(draft, prompt)
    for name, value in _FLAG.findall(flags):
        if name in FLAGS:
            draft.put(FLAGS[name], value)
        else:
            draft.rest([(f"-{name}", value)])
    return draft.done()


def _unquoted(text: str) -> tuple[str, str]:
    """Without quotes the prompt ends where the first flag that it knows begins."""
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return text[1:-1], ""
    begin = next((found.start() for found in _FLAG.finditer(text) if found[1] in FLAGS), len(text))
    return text[:begin], text[begin:]


def _prompts(draft: Draft, text: str) -> None:
    """What stands in brackets is not wanted."""
    text = text[:MAX_PROMPT_CHARS]
    draft.put("prompt", _NEGATIVE.sub("", text).strip())
    draft.put("negative_prompt", " ".join(part.strip() for part in _NEGATIVE.findall(text)))


def _graph(blocks: Blocks) -> Generation | None:
    """Without metadata: what a node for metadata in the graph was given as plain values; else only that there is a workflow."""
    for block, data in blocks.mappings("invokeai_graph"):
        nodes = values.table(data.get("nodes")).values()
        node = next((one for one in nodes if values.is_table(one) and one.get("type") == "core_metadata"), {})
        return _metadata(blocks, block, {key: value for key, value in node.items() if key not in ("id", "type")})
    if blocks.first("invokeai_workflow") is not None:
        return _with_workflow(blocks, Draft("InvokeAI", ""))
    return None


def _with_workflow(blocks: Blocks, draft: Draft) -> Generation:
    workflow = blocks.first("invokeai_workflow")
    return draft.done(workflow=workflow.place if workflow is not None else None)
