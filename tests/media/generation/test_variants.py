"""The less usual forms of each generator, as its own source writes them."""

from __future__ import annotations

import json

import pytest

from forged.media.generation.table import generation_of
from forged.model.media import Generation, Lora, RawBlock


def read(*blocks: tuple[str, object]) -> Generation:
    made = generation_of([RawBlock(place, text if isinstance(text, str) else json.dumps(text)) for place, text in blocks])
    assert made is not None
    return made


SDNEXT = "Steps: 20, Size: 64x48, Sampler: Euler a, Seed: 7, CLiP-skip: 2, App: SD.Next, Version: 56a8aea, Pipeline: Flux"


def test_sdnext_writes_templates_above_its_settings() -> None:
    made = read(
        ("png/tEXt/parameters", f"a cat\nNegative prompt: bad\nTemplate: a {{cat|dog}}\nNegative template: __bad__\n{SDNEXT}")
    )
    assert (made.prompt, made.negative_prompt, made.clip_skip, made.version) == ("a cat", "bad", 2, "56a8aea")
    assert made.settings[-2:] == (("Template", "a {cat|dog}"), ("Negative template", "__bad__"))


def test_a_negative_prompt_of_others_may_speak_of_templates() -> None:
    made = read(("png/tEXt/parameters", "cat\nNegative prompt: bad\nTemplate: of a page\nSteps: 5, Seed: 1"))
    assert made.negative_prompt == "bad\nTemplate: of a page"


@pytest.mark.parametrize(("hashes", "first", "second"), [("aa, bb", "aa", "bb"), ("bb", None, None)])
def test_sdnext_names_loras_and_hashes_apart(hashes: str, first: str | None, second: str | None) -> None:
    text = f'cat <lora:one:0.5>\n{SDNEXT}, LoRA networks: "one, two", LoRA hashes: {json.dumps(hashes)}'
    assert read(("png/tEXt/parameters", text)).loras == (Lora("one", 0.5, first), Lora("two", None, second))


def test_fooocus_in_a1111s_scheme_names_weights_apart() -> None:
    settings = 'Steps: 30, Seed: 5, Lora hashes: "offset: aa, sketch: bb", Lora weights: "offset: 0.1, sketch: -1"'
    made = read(
        ("png/tEXt/parameters", f"cat\n{settings}, Version: Fooocus v2.5.5"),
        ("png/tEXt/fooocus_scheme", "a1111"),
    )
    assert (made.generator, made.version) == ("Fooocus", "Fooocus v2.5.5")
    assert made.loras == (Lora("offset", 0.1, "aa"), Lora("sketch", -1.0, "bb"))


@pytest.mark.parametrize("place", ["png/tEXt/parameters", "mp4/metadata"])
def test_ruined_fooocus_with_loras(place: str) -> None:
    data = {"Prompt": "cat", "Negative": "", "seed": 5, "loras": [["6ce0", "0.8 - my - style.safetensors"]]}
    made = read((place, data | {"software": "RuinedFooocus"}))
    assert (made.generator, made.negative_prompt, made.loras) == (
        "RuinedFooocus",
        "",
        (Lora("my - style.safetensors", 0.8, "6ce0"),),
    )


@pytest.mark.parametrize("place", ["mp4/comment", "webm/DESCRIPTION", "png/iTXt/comment", "exif/UserComment", "mp3/WanGP"])
def test_wangp_wherever_it_writes(place: str) -> None:
    data = {"type": "WanGP v12.60 by DeepBeepMeep - Wan2.2", "prompt": "a fox", "seed": 3, "model_type": "t2v_2_2"}
    data |= {"activated_loras": ["a.safetensors", "b.safetensors"], "loras_multipliers": "1 0.5;1"}
    made = read((place, data))
    assert (made.generator, made.version, made.prompt, made.seed) == ("WanGP", "12.60", "a fox", "3")
    assert made.loras == (Lora("a.safetensors", 1.0), Lora("b.safetensors"))


EASY_LABELS = {
    "Prompt": "cat",
    "Negative Prompt": "",
    "Seed": 9,
    "Stable Diffusion model": "sd-v1-5",
    "VAE model": None,
    "Steps": 25,
    "LoRA model": "a, b",
    "LoRA Strength": "0.5, 1.0",
}


def test_easy_diffusion_with_labels() -> None:
    single = [(f"png/tEXt/{key}", str(value)) for key, value in EASY_LABELS.items()]
    for made in (read(*single), read(("exif/UserComment", EASY_LABELS))):
        assert (made.generator, made.prompt, made.negative_prompt, made.seed) == ("Easy Diffusion", "cat", "", "9")
        assert (made.model, made.vae, made.steps, made.loras) == ("sd-v1-5", None, 25, (Lora("a", 0.5), Lora("b", 1.0)))


def test_easy_diffusion_in_single_texts_writes_lists_as_python_shows_them() -> None:
    texts = {"prompt": "cat", "use_stable_diffusion_model": "m", "use_lora_model": "['a', 'b']", "lora_alpha": "[0.5, 1]"}
    texts |= {"use_vae_model": "None", "use_upscale": "None", "tiling": "x"}
    made = read(*((f"png/tEXt/{key}", value) for key, value in texts.items()))
    assert (made.vae, made.loras, made.settings) == (None, (Lora("a", 0.5), Lora("b", 1.0)), (("tiling", "x"),))


def test_swarmui_says_more_beside_its_parameters() -> None:
    data = {"sui_image_params": {"prompt": "cat", "clipstopatlayer": -2}, "sui_extra_data": {"generation_time": "3.2 sec"}}
    made = read(("png/tEXt/parameters", data))
    assert made.settings == (("clipstopatlayer", "-2"), ("generation_time", "3.2 sec"))
    assert made.clip_skip is None


def test_invokeais_control_adapters_are_settings() -> None:
    control = [{"control_model": {"name": "canny"}, "control_weight": 0.75}]
    made = read(("png/iTXt/invokeai_metadata", {"positive_prompt": "cat", "controlnets": control, "ipAdapters": []}))
    assert made.settings == (("controlnets", json.dumps(control)),)


@pytest.mark.parametrize("number", ["1_000", "\u0661", "1" * 65, "nan", "inf", "1e999", "", "7 steps"])
def test_what_only_python_takes_for_a_number_is_none(number: str) -> None:
    assert read(("png/tEXt/parameters", f"cat\nSteps: 5, CFG scale: {number}, Seed: 1")).cfg is None


@pytest.mark.parametrize("negative", [" Negative prompt: bad", ""])
def test_a_text_whose_lines_were_joined(negative: str) -> None:
    made = read(("exif/UserComment", f"a cat, Steps: 3 to the door{negative} Steps: 20, Sampler: Euler a, Seed: 7, Model: m"))
    assert (made.prompt, made.negative_prompt) == ("a cat, Steps: 3 to the door", "bad" if negative else "")
    assert (made.steps, made.seed, made.model) == (20, "7", "m")


@pytest.mark.parametrize("version", ["neo", "neo-2.7", "Neo 2"])
def test_forge_neo_whatever_its_number(version: str) -> None:
    assert read(("png/tEXt/parameters", f"cat\nSteps: 5, Version: {version}")).generator == "Forge Neo"


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(
    ("generator", "texts"),
    [
        ("InvokeAI", {"invokeai_metadata": {"positive_prompt": "cat", "seed": 5}, "invokeai_workflow": {"nodes": []}}),
        ("SwarmUI", {"parameters": {"sui_image_params": {"prompt": "cat", "seed": 5}}}),
        ("TensorArt", {"generation_data": {"prompt": "cat", "negativePrompt": "", "seed": "5"}}),
    ],
)
def test_texts_of_a_png_that_became_one_comment(generator: str, texts: dict[str, object], nested: bool) -> None:
    written = texts if nested else {key: json.dumps(value) for key, value in texts.items()}
    made = read(("exif/UserComment", written))
    assert (made.generator, made.prompt, made.seed) == (generator, "cat", "5")
    assert {*made.origins.values(), made.workflow or "exif/UserComment"} == {"exif/UserComment"}


def test_a_comment_of_comments_is_opened_once() -> None:
    inner = json.dumps({"invokeai_metadata": {"positive_prompt": "cat"}})
    blocks = [RawBlock("exif/UserComment", json.dumps({"parameters": "{}", "Comment": inner}))]
    assert generation_of(blocks) is None


def test_texts_in_the_pixels() -> None:
    made = read(("png/stealth", "a circle\nNegative prompt: a square\nSteps: 20, Sampler: Euler, Seed: 2015833630"))
    assert (made.generator, made.prompt, made.negative_prompt, made.seed) == ("A1111", "a circle", "a square", "2015833630")
    comment = {"prompt": "cat", "uc": "", "scale": 5, "sampler": "k_euler", "seed": 7}
    made = read(("png/stealth", {"Software": "NovelAI", "Source": "NovelAI Diffusion V4", "Comment": json.dumps(comment)}))
    assert (made.generator, made.prompt, made.seed, made.model) == ("NovelAI", "cat", "7", "NovelAI Diffusion V4")
