"""Whatever stands where a generator writes its values, however long: nothing fails, takes long or is made up."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.media.generation.table import generation_of
from forged.media.generation.tags import tags
from forged.model.media import Generation, RawBlock
from tests.media.generation.test_generators import GRAPH, NOVELAI, SWARM

SAMPLES: tuple[tuple[str, object], ...] = (
    ("png/tEXt/parameters", SWARM),
    (
        "png/tEXt/Comment",
        NOVELAI | {"uc": "", "v4_prompt": {"caption": {"base_caption": "x", "char_captions": [{"char_caption": "y"}]}}},
    ),
    ("png/tEXt/parameters", {"base_model": "m", "guidance_scale": 4, "loras": [["a", 1, "h"]], "lora_combined_1": "a : 1"}),
    ("png/tEXt/parameters", {"software": "RuinedFooocus", "Prompt": "x", "loras": [["h", "1 - a"]], "clip_skip": 1}),
    ("mp4/comment", {"type": "WanGP v1", "prompt": "x", "activated_loras": ["a"], "loras_multipliers": "1", "resolution": "1x1"}),
    ("exif/UserComment", {"prompt": "x", "use_stable_diffusion_model": "m", "use_lora_model": ["a"], "lora_alpha": [1]}),
    ("exif/UserComment", {"c": "x", "uc": "", "sampler": "s", "seed": 1, "lora": [{"model": "a", "weight": 1}], "size": "1x1"}),
    (
        "png/tEXt/generation_data",
        {"prompt": "x", "negativePrompt": "", "seed": "-1", "baseModel": {"modelFileName": "m", "hash": "h"}},
    ),
    ("png/tEXt/parameters-json", {"PositivePrompt": "x", "ModelName": "m", "Seed": 1}),
    (
        "png/iTXt/invokeai_metadata",
        {"positive_prompt": "x", "model": {"name": "m"}, "loras": [{"model": {"name": "a"}, "weight": 1}]},
    ),
    ("png/tEXt/sd-metadata", {"image": {"prompt": [{"prompt": "x [y]"}], "seed": 1}, "model_weights": "m"}),
    ("png/iTXt/invokeai_graph", {"nodes": {"m": {"type": "core_metadata", "positive_prompt": "x"}}}),
    ("png/tEXt/prompt", json.loads(GRAPH)),
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def paths(value: object, here: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """To every value inside."""
    yield here
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from paths(inner, (*here, key))


def with_other(value: object, path: tuple[object, ...], other: object) -> object:
    """The value, with another one at that place."""
    if not path:
        return other
    if isinstance(value, dict):
        return {key: with_other(inner, path[1:], other) if key == path[0] else inner for key, inner in value.items()}
    assert isinstance(value, list)
    return [with_other(inner, path[1:], other) if number == path[0] else inner for number, inner in enumerate(value)]


@settings(max_examples=400)
@given(st.data())
def test_any_value_of_what_they_write_may_be_anything(data: st.DataObject) -> None:
    place, value = data.draw(st.sampled_from(SAMPLES))
    for _ in range(data.draw(st.integers(1, 3))):
        value = with_other(value, data.draw(st.sampled_from(list(paths(value)))), data.draw(ANYTHING))
    made = generation_of([RawBlock(place, json.dumps(value))])
    if made is not None:
        tags(made)
        assert set(made.origins.values()) <= {place}
        said = json.dumps(value)
        assert all(one is None or one in said for one in (made.seed, *(pass_.seed for pass_ in made.samplings)))
        names = (made.model, made.sampler, made.scheduler, made.vae, *(lora.name for lora in made.loras))
        assert all(name is None or json.dumps(name)[1:-1] in said for name in names)


@contextmanager
def soon(within_s: float = 20) -> Iterator[None]:
    """Within so much of this process' own time: what is linear needs one, what is quadratic minutes and more."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, within_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


LONG_CHARS = 4_000_000
PIECES = (
    "a:b,",
    "a:b\n",
    'a:""\n',
    '"x":[0,{',
    'x:[0,{"x":[0,',
    'x:"\\",',
    ":",
    ",",
    " ",
    "a:  ",
    "\n",
    "\r\n",
    "Steps: 1\n",
    "\nTemplate:",
)
AROUND: tuple[Callable[[str], str], ...] = (
    lambda piece: f"Steps: 1, {piece}",
    lambda piece: f"{piece}\nSteps: 1, Seed: 1",
    lambda piece: piece,
)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    "piece",
    [*PIECES, "<lora:" + "a" * 250, "<lora:a:" + "1" * 32 + ":" * 200, "Negative prompt:\n", "sampler: a, seed: 1, size: 1x1, "],
)
def test_long_infotexts_take_time_in_proportion(piece: str, around: Callable[[str], str]) -> None:
    with soon():
        made = generation_of([RawBlock("png/tEXt/parameters", around(piece * (LONG_CHARS // len(piece))))])
        if made is not None:
            tags(made)


def test_brackets_that_never_close_are_not_all_followed_to_the_end() -> None:
    text = "Steps: 1, " + '"x":[0,{' * 400 + '"x":[' + "0," * 500_000
    with soon(within_s=3):
        generation_of([RawBlock("png/tEXt/parameters", text)])


@pytest.mark.parametrize("key", ["Dream", "XML:com.adobe.xmp", "Description", "UserComment"])
@pytest.mark.parametrize("piece", ["[", "[a", " -s 1", "-s", '"', '" -', "exif:UserComment><rdf:li>", "<rdf:li", "&amp", '{"c":'])
def test_other_long_texts_take_time_in_proportion(key: str, piece: str) -> None:
    with soon():
        generation_of([RawBlock(f"png/iTXt/{key}", piece * (LONG_CHARS // len(piece)))])


@pytest.mark.parametrize("piece", ["a,", ":1.", "<", "<" + "a" * 299, "1", "BREAK ", "(", "_", "\u0301", "(a:1.1), "])
def test_tags_of_long_prompts_take_time_in_proportion(piece: str) -> None:
    with soon():
        tags(Generation(generator="x", prompt=piece * (LONG_CHARS // len(piece))))
