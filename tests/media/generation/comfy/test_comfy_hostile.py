"""Graphs that nobody's editor made: nothing crashes, nothing is invented, nothing takes long."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.media.generation.comfy import graph as graphs
from forged.media.generation.comfy import read, read_graph, reading
from forged.model.media import Generation, RawBlock
from tests.media.generation.comfy.making import PLACE, link, node, plain, read_plain, sampler
from tests.media.generation.comfy.making import read as read_known

IDS = st.sampled_from(["1", "2", "3", "4", "5", "6", "7", "1:2"])
KINDS = st.sampled_from(
    [
        "KSampler",
        "SamplerCustomAdvanced",
        "easykSampler",
        "SaveImage",
        "VHS_VideoCombine",
        "Reroute",
        "ImpactSwitch",
        "CLIPTextEncode",
        "ConditioningZeroOut",
        "LoraLoader",
        "UNETLoader",
        "EmptyLatentImage",
        "StringConcatenate",
        "ShowText|pysssss",
        "VAEDecode",
        "Other",
    ]
)
NAMES = st.sampled_from(
    [
        "seed",
        "noise_seed",
        "steps",
        "cfg",
        "sampler_name",
        "sampler",
        "scheduler",
        "denoise",
        "model",
        "positive",
        "negative",
        "text",
        "latent_image",
        "samples",
        "images",
        "pipe",
        "guider",
        "sigmas",
        "noise",
        "conditioning",
        "text_a",
        "text_b",
        "delimiter",
        "clip",
        "width",
        "height",
        "resolution",
        "ckpt_name",
        "lora_name",
        "lora_name_1",
        "strength_model",
        "lora_stack",
        "select",
        "input1",
        "vae",
        "on_true",
        "on_false",
        "switch",
        "value",
        "populated_text",
        "action",
        "tidy_tags",
        "stop_at_clip_layer",
        "lora",
        "t5xxl",
        "prompt",
    ]
)
LINKS = st.lists(IDS | st.integers(0, 9), min_size=1, max_size=1).map(lambda ids: [ids[0], 0])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["512x768 (x)", "<lora:a:1>"])
)
VALUES = (
    LINKS
    | LINKS
    | SCALARS
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(st.sampled_from(["lora", "on", "content", "__value__"]), SCALARS)
)
NODES = st.fixed_dictionaries({"class_type": KINDS, "inputs": st.dictionaries(NAMES, VALUES, max_size=12)})
GRAPHS = st.dictionaries(IDS, NODES | SCALARS, max_size=8)


def scalars(value: object) -> list[object]:
    """All texts and numbers in a graph."""
    if isinstance(value, dict):
        return [entry for inner in value.values() for entry in scalars(inner)]
    if isinstance(value, list):
        return [entry for inner in value for entry in scalars(inner)]
    return [value]


@given(GRAPHS)
def test_nothing_crashes_and_nothing_is_invented(graph: dict[str, object]) -> None:
    generation = read_graph(graph, PLACE)
    if generation is None:
        assert not any(isinstance(entry, dict) for entry in graph.values())
        return
    held = scalars(graph)
    texts = {str(value) for value in held} | {str(int(value)) for value in held if isinstance(value, float) and value.is_integer()}
    found = [generation.seed, generation.sampler, generation.scheduler, generation.model, generation.vae]
    found += [one.seed for one in generation.samplings] + [one.model for one in generation.samplings]
    assert {text for text in found if text is not None} <= texts
    numbers = [generation.steps, generation.cfg, generation.denoise, *(one.steps for one in generation.samplings)]
    assert all(number in held for number in numbers if number is not None)
    assert all(lora.name in "".join(texts) for lora in generation.loras)
    check_texts(generation, graph, "".join(texts))
    assert {one.id for one in generation.samplings} <= graph.keys()
    assert set(generation.origins.values()) <= {PLACE}


def check_texts(generation: Generation, graph: dict[str, object], written: str) -> None:
    is_joined = any("text_a" in str(entry) or "text_b" in str(entry) or "input1" in str(entry) for entry in graph.values())
    if not is_joined:
        assert all(text in written for text in (generation.prompt or "", generation.negative_prompt or "", *generation.prompts))
    for size in (generation.width, generation.height):
        assert size is None or str(size) in written


@given(
    st.dictionaries(
        st.text(max_size=3), st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), max_size=5
    )
)
def test_any_mapping_may_come(value: dict[str, object]) -> None:
    read_graph(value, PLACE)
    read([RawBlock(PLACE, json.dumps({"1": {"class_type": "KSampler", "inputs": value}}))])


@pytest.mark.parametrize(
    "inputs", [None, [], "text", 3, {"images": []}, {"images": ["decode"]}, {"images": ["decode", "0"]}, {"images": [None, 0]}]
)
def test_inputs_of_the_wrong_type_are_none(inputs: object) -> None:
    assert (
        read_graph({"save": {"class_type": "SaveImage", "inputs": inputs}, "decode": {"class_type": "VAEDecode"}}, PLACE)
        is not None
    )


@pytest.mark.parametrize("name", ["model", "positive", "latent_image", "seed", "steps", "sampler_name"])
@pytest.mark.parametrize("target", ["sampler", "a", "nowhere"])
def test_loops_and_links_to_nowhere_end(name: str, target: str) -> None:
    loop = {"a": node("Reroute", any=link("b")), "b": node("Reroute", any=link("a"))}
    generation = read_known(plain(sampler=sampler(**{name: link(target)}), **loop))
    assert generation.scheduler == "karras"


def test_numbers_that_nobody_means_are_unknown() -> None:
    """One of more than 64 bits fits into no answer of a worker, and cost all that was known of its file."""
    for absurd in (10**40, -1, 2**64):
        assert read_plain(sampler=sampler(steps=absurd)).steps is None
    for absurd_seed in (10**41, "1" * 41):
        assert read_plain(sampler=sampler(seed=absurd_seed)).seed is None


def test_seeds_keep_all_their_digits() -> None:
    digits = "123456789012345678901234567890"
    generation = read([RawBlock(PLACE, json.dumps(plain(sampler=sampler(seed=int(digits)))))])
    assert generation is not None and generation.seed == digits
    assert read_known(plain(sampler=sampler(seed=digits))).seed == digits


def chain_of_samplers(many: int) -> dict[str, object]:
    links = ("latent_image", "model", "positive", "negative")
    return {str(i): sampler(**{name: link(str(i + 1)) for name in links}) for i in range(many)}


def row_of_samplers(many: int) -> dict[str, object]:
    mixed = node("ImageBatch", **{f"image{i}": link(str(i)) for i in range(many)})
    return {"0": node("SaveImage", images=link("mix")), "mix": mixed, **{str(i): sampler() for i in range(1, many)}}


def chain_of_loras(many: int) -> dict[str, object]:
    loras = {str(i): node("LoraLoader", lora_name="a", strength_model=1, model=link(str(i + 1))) for i in range(1, many)}
    return {"0": sampler(model=link("1")), **loras}


def doubling_text(many: int) -> dict[str, object]:
    joins = {str(i): node("Join", text_a=link(str(i + 1)), text_b=link(str(i + 1)), delimiter=",") for i in range(2, many)}
    texts = {"1": node("CLIPTextEncode", text=link(str(max(2, many - 30)))), str(many): node("String", string="abc")}
    return {"0": sampler(positive=link("1")), **joins, **texts}


def web_of_conditioning(many: int) -> dict[str, object]:
    web = {
        str(i): node("Combine", conditioning_1=link(str(i * 3 % many)), conditioning_2=link(str(i * 5 % many)))
        for i in range(1, many)
    }
    return {"0": sampler(positive=link("1"), negative=link("2")), **web}


def web_of_pipes(many: int) -> dict[str, object]:
    web = {f"p{i}": node("X", **{f"pipe{j}": link(f"p{(i * 7 + j) % 50}") for j in range(many // 50)}) for i in range(50)}
    return {**web, **{str(i): node("K sampler", latent_image=link(str(i + 1)), pipe=link(f"p{i % 50}")) for i in range(100)}}


FAMILIES = [chain_of_samplers, row_of_samplers, chain_of_loras, doubling_text, web_of_conditioning, web_of_pipes]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_twice_the_graph_is_at_most_twice_the_work(
    family: Callable[[int], dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[graphs.Graph] = []

    def parse(value: Mapping[str, object]) -> graphs.Graph | None:
        parsed.append(graphs.Graph({}) if (graph := graphs.parse(value)) is None else graph)
        return parsed[-1]

    monkeypatch.setattr(reading, "parse", parse)
    for many in (5_000, 10_000):
        read_known({"save": node("SaveImage", images=link("0")), **family(many)})
    small, large = (graphs.MAX_LOOKS - graph._looks_left for graph in parsed)
    assert large <= 2.2 * small or large <= 50_000
    assert large < graphs.MAX_LOOKS + 100_000


def test_a_text_that_doubles_has_an_end() -> None:
    assert read_known(doubling_text(40)).prompt is None
    short = {**doubling_text(40), "1": node("CLIPTextEncode", text=link("38"))}
    assert read_known(short).prompt == "abc,abc,abc,abc"
