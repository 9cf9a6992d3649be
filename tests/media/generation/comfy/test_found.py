"""Which blocks are ComfyUI's: all forms in which graphs and workflows are carried."""

from __future__ import annotations

import json

import pytest

from forged.media.generation.comfy import read
from forged.model.media import RawBlock
from tests.media.generation.comfy.making import link, node, plain, sampler

GRAPH = json.dumps(plain())
WORKFLOW = json.dumps({"last_node_id": 1, "nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4})
BOTH_OBJECTS = json.dumps({"prompt": json.loads(GRAPH), "workflow": json.loads(WORKFLOW)})


@pytest.mark.parametrize(
    ("blocks", "graph", "workflow"),
    [
        ({"png/tEXt/prompt": GRAPH, "png/tEXt/workflow": WORKFLOW}, "png/tEXt/prompt", "png/tEXt/workflow"),
        ({"png/comf/prompt": GRAPH, "png/comf/workflow": WORKFLOW}, "png/comf/prompt", "png/comf/workflow"),
        ({"webm/PROMPT": GRAPH, "webm/WORKFLOW": WORKFLOW}, "webm/PROMPT", "webm/WORKFLOW"),
        ({"flac/prompt": GRAPH}, "flac/prompt", None),
        ({"exif/Model": f"prompt:{GRAPH}", "exif/Make": f"workflow:{WORKFLOW}"}, "exif/Model", "exif/Make"),
        ({"exif/Make": f"Prompt: {GRAPH}", "exif/ImageDescription": f"Workflow: {WORKFLOW}"}, "exif/Make", "exif/ImageDescription"),
        ({"exif/UserComment": BOTH_OBJECTS + "\0"}, "exif/UserComment", "exif/UserComment"),
        ({"mp4/comment": json.dumps({"prompt": GRAPH, "workflow": json.loads(WORKFLOW)})}, "mp4/comment", "mp4/comment"),
        ({"webm/COMMENT": json.dumps({"prompt": GRAPH, "workflow": WORKFLOW})}, "webm/COMMENT", "webm/COMMENT"),
        ({"mp4/prompt": json.dumps(GRAPH), "mp4/workflow": json.dumps(WORKFLOW)}, "mp4/prompt", "mp4/workflow"),
        ({"mp4/prompt": json.dumps(json.dumps(GRAPH))}, "mp4/prompt", None),
        ({"mp4/comment": BOTH_OBJECTS, "mp4/prompt": GRAPH}, "mp4/comment", "mp4/comment"),
        ({"svg/metadata": BOTH_OBJECTS}, "svg/metadata", "svg/metadata"),
    ],
)
def test_every_way_to_carry_them(blocks: dict[str, str], graph: str, workflow: str | None) -> None:
    generation = read([RawBlock("png/tEXt/Software", "x"), *(RawBlock(place, text) for place, text in blocks.items())])
    assert generation is not None
    assert (generation.prompt, generation.graph, generation.workflow) == ("a cat", graph, workflow)
    assert generation.origins["prompt"] == graph
    assert generation.origins.get("workflow") == workflow


def test_a_workflow_alone_is_present_and_no_more() -> None:
    generation = read([RawBlock("png/tEXt/workflow", WORKFLOW)])
    assert generation is not None
    assert (generation.generator, generation.workflow, generation.graph, generation.prompt) == (
        "ComfyUI",
        "png/tEXt/workflow",
        None,
        None,
    )
    assert generation.origins == {"workflow": "png/tEXt/workflow"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "{}",
        "[]",
        '"nodes"',
        '{"nodes": 3}',
        '{"prompt": "a cat class_type"}',
        "prompt: class_type",
        GRAPH[:-20],
        "{" * 5000 + "nodes",
    ],
)
@pytest.mark.parametrize("place", ["png/tEXt/prompt", "png/tEXt/parameters", "exif/UserComment"])
def test_other_texts_are_none_of_its(text: str, place: str) -> None:
    assert read([RawBlock(place, text)]) is None


def test_a_graph_without_a_sampler_is_a_graph() -> None:
    graph = {"in": node("LoadImage", image="a.png"), "save": node("SaveImage", images=link("in"))}
    generation = read([RawBlock("png/tEXt/prompt", json.dumps(graph))])
    assert generation is not None
    assert (generation.graph, generation.prompt, generation.samplings) == ("png/tEXt/prompt", None, ())


def test_numbers_that_are_none_are_unknown() -> None:
    graph = plain(sampler=sampler(cfg=float("nan"), denoise=float("inf"), seed=-1, steps="many"))
    generation = read([RawBlock("png/tEXt/prompt", json.dumps(graph))])
    assert generation is not None
    assert (generation.cfg, generation.denoise, generation.seed, generation.steps) == (None, None, None, None)


def test_film_and_sound_are_read_from_their_own_savers() -> None:
    graph = plain(
        film=sampler(seed=5, positive=link("other")),
        other=node("CLIPTextEncode", text="a film"),
        decode_film=node("VAEDecode", samples=link("film")),
        save_film=node("SaveVideo", video=link("make"), filename_prefix="x"),
        make=node("CreateVideo", images=link("decode_film"), fps=24),
        song=sampler(seed=6, positive=link("tags")),
        tags=node("TextEncodeAceStepAudio", tags="a song", lyrics=""),
        decode_song=node("VAEDecodeAudio", samples=link("song")),
        save_song=node("SaveAudio", audio=link("decode_song"), filename_prefix="x"),
    )
    text = json.dumps(graph)
    seen = [
        generation.prompt
        for place in ("mp4/prompt", "flac/prompt", "png/tEXt/prompt")
        if (generation := read([RawBlock(place, text)]))
    ]
    assert seen == ["a film", "a song", None]


def test_a_saver_that_writes_no_metadata_did_not_write_this() -> None:
    graph = plain(
        other=sampler(seed=5),
        decode_other=node("VAEDecode", samples=link("other")),
        quiet=node("VHS_VideoCombine", images=link("decode_other"), save_metadata=False, filename_prefix="x"),
    )
    generation = read([RawBlock("png/tEXt/prompt", json.dumps(graph))])
    assert generation is not None and generation.seed == "42"


def test_civitai_says_beside_its_graph_what_was_asked_for() -> None:
    asked = json.dumps({"prompt": "a fox", "negativePrompt": "", "steps": 99, "cfgScale": 4, "sampler": "Euler", "seed": 12})
    graph = plain(positive=None, negative=None, sampler=sampler(seed=None)) | {
        "extra": {"airs": ["urn:air:x"]},
        "extraMetadata": asked,
    }
    generation = read([RawBlock("exif/UserComment", json.dumps(graph))])
    assert generation is not None
    assert (generation.generator, generation.prompt, generation.negative_prompt) == ("Civitai (ComfyUI)", "a fox", "")
    assert (generation.seed, generation.steps, generation.cfg, generation.sampler) == ("12", 20, 7.5, "euler")
    assert generation.origins["prompt"] == "exif/UserComment"
