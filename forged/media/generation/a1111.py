"""A1111 and what has grown out of it: Forge (also Classic and Neo), reForge, SD.Next; and Civitai's texts, which look the same.

Where it stands: PNG `parameters`; EXIF UserComment in JPEG, WebP and AVIF; a GIF's comment (modules/images.py,
save_image_with_geninfo). Only in a place of their own a text without settings is a prompt; a comment without them may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from forged.media.generation import loose, values
from forged.media.generation.blocks import COMMENTS, Blocks
from forged.media.generation.draft import Draft
from forged.media.generation.infotext import Infotext, taken_apart
from forged.model.media import Generation, RawBlock

FIELDS: Mapping[str, str] = {
    "steps": "steps",
    "sampler": "sampler",
    "schedule type": "scheduler",
    "scheduler": "scheduler",
    "cfg scale": "cfg",
    "seed": "seed",
    "model": "model",
    "model hash": "model_hash",
    "vae": "vae",
    "clip skip": "clip_skip",
    "clip-skip": "clip_skip",
    "denoising strength": "denoise",
    "version": "version",
}
"""What the settings call our fields, in lower case."""

OF_THEIR_OWN = ("parameters", "stealth")
"""Keys under which nobody else writes a text; the second is that of a text in the pixels."""

ELSEWHERE = frozenset({*FIELDS, "size", "lora hashes", "lora weights", "lora networks"})
"""Settings that have become fields."""

_LORA = re.compile(r"<(?:lora|lyco):([^:<>\n]{1,256}+)(?::([^:<>\n]{0,32}+))?+[^<>\n]{0,256}+>")
"""Possessive: what was taken is not given back, else one that never closes is tried in 65,000 ways."""


def read(blocks: Blocks) -> Generation | None:
    """The first text that is one of theirs."""
    for block in blocks.called(*OF_THEIR_OWN, *COMMENTS):
        if blocks.mapping(block) is None:
            made = of_text(block, any_text=block.key.lower() in OF_THEIR_OWN)
            if made is not None:
                return made
    return None


def of_text(block: RawBlock, *, any_text: bool) -> Generation | None:
    """What the text says. `any_text`: one without settings is a prompt."""
    text = taken_apart(block.text)
    if not text.settings and not text.has_negative and not (any_text and text.prompt):
        return None
    if any_text and not text.has_negative and _is_postprocessing(text.prompt):
        return None
    draft = Draft(_program(text), block.place)
    draft.put("prompt", text.prompt)
    draft.put("negative_prompt", text.negative)
    for name, value in text.settings:
        if name.lower() in FIELDS:
            draft.put(FIELDS[name.lower()], value)
    draft.size(text.get("size"))
    _loras(draft, text)
    draft.rest(text.settings_of_their_own(ELSEWHERE))
    return draft.done()


def _is_postprocessing(prompt: str) -> bool:
    """What the Extras tab writes where there was no prompt (modules/scripts_postprocessing.py)."""
    return prompt.startswith(("Postprocess ", "Upscale: ")) and "\n" not in prompt


def _program(text: Infotext) -> str:
    """By what it says of itself."""
    version, app = text.get("version") or "", (text.get("app") or text.get("backend") or "").lower()
    if app.startswith("sd.next") or text.get("pipeline") or app in ("diffusers", "original"):
        return "SD.Next"
    if text.get("civitai resources") or text.get("civitai metadata"):
        return "Civitai"
    own_name = re.match(r"(classic|neo)\b", version, re.IGNORECASE)
    if own_name:
        return f"Forge {own_name[1].title()}"
    if re.match(r"f\d", version):
        return "reForge" if "-v1." in version else "Forge"
    named = re.match(r"(RuinedFooocus|FooocusPlus|Fooocus|ComfyUI|SD\.Next|Easy Diffusion|InvokeAI)\b", version)
    return named[1] if named else "A1111"


def _loras(draft: Draft, text: Infotext) -> None:
    """Those of the prompt with their weights; hashes, and what no prompt names, from the settings."""
    hashes, weights = _hashes(text), dict(_named(text.get("lora weights") or ""))
    for name, weight in _LORA.findall(text.prompt):
        draft.lora(name, weights.get(name.strip(), weight), hashes.pop(name.strip(), None))
    for name, hash in hashes.items():
        draft.lora(name, weights.get(name), hash)
    resources = loose.loads(text.get("civitai resources") or "")
    for one in values.tables(resources):
        if one.get("type") in ("lora", "lycoris", "locon", "dora"):
            draft.lora(one.get("modelName"), one.get("weight"))


def _hashes(text: Infotext) -> dict[str, str | None]:
    """By name. SD.Next names and hashes them in two lists, and leaves out hashes that it does not know: which, it does not say."""
    hashes = text.get("lora hashes") or ""
    networks = [one.strip() for one in (text.get("lora networks") or "").split(",") if one.strip()]
    if not networks:
        return dict(_named(hashes))
    listed = [one.strip() for one in hashes.split(",") if one.strip()]
    return dict(zip(networks, listed if len(listed) == len(networks) else [None] * len(networks), strict=True))


def _named(text: str) -> list[tuple[str, str]]:
    """`name: hash, other (v2): hash`."""
    found = (one.rpartition(":") for one in text.split(","))
    return [(name.strip(), value.strip()) for name, colon, value in found if colon]
