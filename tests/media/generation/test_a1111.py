"""A1111's text and those that look like it: split where it must be, whatever the prompt holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.media.generation.infotext import pairs, taken_apart
from forged.media.generation.table import generation_of
from forged.model.media import Generation, Lora, RawBlock

PLACE = "png/tEXt/parameters"
SETTINGS = (
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5.5, Seed: 42, Size: 832x1216, Model: m, Version: v1.10.1"
)


def read(text: str, place: str = PLACE) -> Generation:
    made = generation_of([RawBlock(place, text)])
    assert made is not None
    return made


def test_every_field_has_its_origin() -> None:
    made = read(
        f"a duck\nNegative prompt: bad\n{SETTINGS}, Model hash: c0d1, VAE: v.pt, Clip skip: 2, Denoising strength: 0.4, RNG: CPU"
    )
    assert made == Generation(
        generator="A1111",
        version="v1.10.1",
        prompt="a duck",
        negative_prompt="bad",
        seed="42",
        steps=20,
        cfg=5.5,
        sampler="DPM++ 2M",
        scheduler="Karras",
        model="m",
        model_hash="c0d1",
        width=832,
        height=1216,
        denoise=0.4,
        clip_skip=2,
        vae="v.pt",
        settings=(("RNG", "CPU"),),
        origins=dict.fromkeys(
            [
                "version",
                "prompt",
                "negative_prompt",
                "seed",
                "steps",
                "cfg",
                "sampler",
                "scheduler",
                "model",
                "model_hash",
                "width",
                "height",
                "denoise",
                "clip_skip",
                "vae",
            ],
            PLACE,
        ),
    )


TRICKY = """a sign "Steps: 99, Seed: 1", colon: comma, <lora:add_detail:0.8>
Steps: 1, Seed: 2 in the prompt <lora:My Style (v2):-0.5:1>
BREAK third
Negative prompt: blurry, "Negative prompt: nested"
ugly
Steps: 28, Sampler: Euler a, CFG scale: 7, Seed: 4294967295, Size: 64x48, Model: pony, Hires prompt: "a, b: c, \\"q\\"\\nline", \
Lora hashes: "add_detail: 7c6b, My Style (v2): 0123, unseen: ff", Version: f2.0.1v1.10.1-previous-669"""


def test_a_prompt_may_look_like_settings() -> None:
    made = read(TRICKY)
    assert made.prompt == TRICKY.split("\nNegative")[0]
    assert made.negative_prompt == 'blurry, "Negative prompt: nested"\nugly'
    assert (made.seed, made.steps, made.sampler, made.generator) == ("4294967295", 28, "Euler a", "Forge")
    assert made.loras == (Lora("add_detail", 0.8, "7c6b"), Lora("My Style (v2)", -0.5, "0123"), Lora("unseen", None, "ff"))
    assert ("Hires prompt", 'a, b: c, "q"\nline') in made.settings


@pytest.mark.parametrize(
    ("version", "generator"),
    [
        ("Version: v1.10.1", "A1111"),
        ("Version: f2.0.1v1.10.1-previous-669-gdfdcbab6", "Forge"),
        ("Version: f0.0.17v1.8.0rc-latest-276-g29be1da7", "Forge"),
        ("Version: f1.0.0v2-v1.10.1RC-latest-2498-g5120e679", "reForge"),
        ("Version: classic", "Forge Classic"),
        ("Version: neo", "Forge Neo"),
        ("App: SD.Next, Version: 56a8aea, Pipeline: StableDiffusionXLPipeline", "SD.Next"),
        ("Version: Fooocus v2.5.5", "Fooocus"),
        ('Civitai resources: [{"type":"checkpoint","modelName":"WAI, the one"}], Civitai metadata: {}', "Civitai"),
        ("RNG: CPU", "A1111"),
    ],
)
def test_who_wrote_it_is_told_by_itself(version: str, generator: str) -> None:
    assert read(f"x\nSteps: 5, Sampler: Euler, Seed: 1, {version}").generator == generator


def test_civitais_json_is_one_value_and_names_loras() -> None:
    resources = [{"type": "lora", "weight": 0.7, "modelName": "a: b, c"}, {"type": "checkpoint", "modelName": "base"}]
    made = read(f"x\nSteps: 5, Civitai resources: {json.dumps(resources)}, Seed: 9")
    assert made.loras == (Lora("a: b, c", 0.7),)
    assert (made.seed, made.model) == ("9", None)


@pytest.mark.parametrize(
    ("text", "prompt", "negative", "seed"),
    [
        ("a lone prompt without settings", "a lone prompt without settings", "", None),
        ("Negative prompt: bad\nSteps: 5, Seed: 7", "", "bad", "7"),
        ("cat\nSteps: 5, Seed: 0", "cat", "", "0"),
        ("cat\r\nNegative prompt: dog\r\n\r\nSteps: 5, Seed: 3", "cat", "dog", "3"),
        ("cat\nSampler: Euler, Size: 64x48, Seed: 3", "cat", "", "3"),
        ("cat\nSteps: 5, Seed: -1", "cat", "", None),
        ("cat, Steps: 5", "cat, Steps: 5", "", None),
        ("cat\nSteps: 5, Seed: 1\nTemplate: {cat|dog}, x: y\nNegative Template: z", "cat", "", "1"),
    ],
)
def test_parts_that_are_missing_are_missing(text: str, prompt: str, negative: str, seed: str | None) -> None:
    made = read(text)
    assert (made.prompt, made.negative_prompt, made.seed) == (prompt, negative, seed)


def test_templates_are_settings_of_their_own() -> None:
    made = read("cat\nSteps: 5, Seed: 1\nTemplate: {cat|dog}, x: y\nmore\nNegative Template: z")
    assert made.settings == (("Template", "{cat|dog}, x: y\nmore"), ("Negative Template", "z"))


@pytest.mark.parametrize("place", ["exif/UserComment", "gif/comment", "jpeg/comment", "mp4/comment"])
@pytest.mark.parametrize("text", ["Created with GIMP", "", "ASCII", "shot on holiday: day 2, cat", "\x00"])
def test_anybodys_comment_is_no_prompt(place: str, text: str) -> None:
    assert generation_of([RawBlock(place, text)]) is None


def test_what_the_extras_tab_writes_is_no_prompt() -> None:
    assert generation_of([RawBlock(PLACE, "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+")]) is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_prompt_comes_back_as_it_was(prompt: str, negative: str) -> None:
    prompt, negative = (part.replace("\r\n", "\n").strip() for part in (prompt, negative))
    text = taken_apart(f"{prompt}\nNegative prompt: {negative}\n{SETTINGS}")
    if "\nNegative prompt:" not in f"\n{prompt}":
        assert (text.prompt, text.negative) == (prompt, negative)
    assert text.get("seed") == "42"


@given(st.lists(st.tuples(st.from_regex(r"[A-Z][a-z]{1,9}", fullmatch=True), st.text(max_size=40)), max_size=8))
def test_quoted_values_come_back_as_they_were(settings: list[tuple[str, str]]) -> None:
    written = ", ".join(f"{key}: {json.dumps(value)}" for key, value in settings)
    assert list(pairs(written)) == settings


@given(st.text(alphabet=st.sampled_from(list('Steps: 1,"[{}]\\\n<lora>:Ngativepromt')), max_size=400))
def test_nothing_makes_it_fail(text: str) -> None:
    generation_of([RawBlock(PLACE, text)])


@pytest.mark.parametrize("piece", ['a: "', "a: [", "a: {", "<lora:", "<lora:a:", ":", ",", "Steps: 1\n", "\nTemplate:", "[[[["])
def test_hostile_lengths_take_time_in_proportion(piece: str) -> None:
    """Half a million of anything would take hours if it were quadratic; the suite's own timeout notices."""
    generation_of([RawBlock(PLACE, piece * 300_000 + "\nSteps: 1, Seed: 1")])
