"""Each generator's own block, as it writes it: what becomes of it, and what must not."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.media.generation.table import PARSERS, generation_of
from forged.model.media import Generation, Lora, RawBlock

DREAM = (
    '"a face, hyper long hair [glowing eyes, skinny] by night [bad]"'
    " -s 50 -S 2980747362 -W 512 -H 768 -C 5.5 -A k_lms -G 0.9 -U 4 0.95"
)

GRAPH = json.dumps(
    {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "graph.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "the graph's prompt", "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "the graph's negative", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 512, "batch_size": 1}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 18446744073709551615,
                "steps": 25,
                "cfg": 7,
                "sampler_name": "euler",
                "scheduler": "karras",
                "denoise": 1,
            }
            | {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]},
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["6", 0]}},
    }
)


def read(*blocks: tuple[str, object]) -> Generation:
    texts = [RawBlock(place, text if isinstance(text, str) else json.dumps(text)) for place, text in blocks]
    made = generation_of(texts)
    assert made is not None
    filled = {name for name in Generation.__struct_fields__ if getattr(made, name) not in (None, (), {})}
    assert set(made.origins) >= filled - {"generator", "settings", "origins", "graph", "workflow", "samplings"}
    assert set(made.origins.values()) <= {text.place for text in texts}
    return made


def basics(made: Generation) -> tuple[object, ...]:
    return (made.prompt, made.negative_prompt, made.seed, made.steps, made.cfg, made.sampler, made.scheduler, made.model)


def test_invokeai_of_the_command_line() -> None:
    made = read(("png/tEXt/Dream", DREAM))
    assert basics(made) == (
        "a face, hyper long hair  by night",
        "glowing eyes, skinny bad",
        "2980747362",
        50,
        5.5,
        "k_lms",
        None,
        None,
    )
    assert (made.generator, made.width, made.height) == ("InvokeAI", 512, 768)


def test_invokeai_of_the_command_line_without_quotes() -> None:
    made = read(("png/tEXt/Dream", "well-lit cat - a portrait -s 20 -S 7"))
    assert (made.prompt, made.steps, made.seed) == ("well-lit cat - a portrait", 20, "7")


def test_invokeai_2_prefers_its_metadata() -> None:
    image = {"prompt": [{"prompt": "cat [dog]", "weight": 1.0}], "steps": 5, "cfg_scale": 5, "height": 48, "width": 64, "seed": 3}
    data = {"model_weights": "deliberate", "model_hash": "56d1", "app_version": "2.3.0", "image": image | {"sampler": "k_lms"}}
    made = read(("png/tEXt/Dream", DREAM), ("png/tEXt/sd-metadata", data))
    assert basics(made) == ("cat", "dog", "3", 5, 5.0, "k_lms", None, "deliberate")
    assert (made.version, made.model_hash) == ("2.3.0", "56d1")


@pytest.mark.parametrize("model", [{"name": "jugg", "hash": "blake3:7c"}, {"model_name": "jugg", "hash": "blake3:7c"}])
def test_invokeai_3_and_later(model: dict[str, str]) -> None:
    data = {
        "positive_prompt": "cat",
        "negative_prompt": "",
        "seed": 3293022630,
        "steps": 35,
        "cfg_scale": 8.0,
        "scheduler": "euler",
        "width": 1024,
        "height": 768,
        "model": model,
        "loras": [{"lora": {"model_name": "old"}, "weight": 0.5}, {"model": {"name": "new", "hash": "h"}, "weight": 0.75}],
        "vae": {"model_name": "VAEFix"},
        "app_version": "6.10.0",
        "rand_device": "cpu",
    }
    made = read(("png/iTXt/invokeai_metadata", data), ("png/iTXt/invokeai_workflow", "{}"))
    assert basics(made) == ("cat", "", "3293022630", 35, 8.0, "euler", "euler", "jugg")
    assert made.loras == (Lora("old", 0.5), Lora("new", 0.75, "h"))
    assert (made.vae, made.model_hash, made.workflow) == ("VAEFix", "blake3:7c", "png/iTXt/invokeai_workflow")
    assert made.settings == (("rand_device", "cpu"),)


def test_invokeai_with_a_graph_alone() -> None:
    nodes = {"m": {"type": "core_metadata", "id": "m", "positive_prompt": "cat", "seed": None, "steps": 9}}
    made = read(("png/iTXt/invokeai_graph", {"nodes": nodes}))
    assert (made.generator, made.prompt, made.seed, made.steps) == ("InvokeAI", "cat", None, 9)


NOVELAI = {"prompt": "cat", "steps": 28, "height": 832, "width": 1216, "scale": 5.0, "seed": 880673757, "sampler": "k_euler"}


def test_novelai() -> None:
    blocks = [("png/tEXt/Software", "NovelAI"), ("png/tEXt/Source", "Stable Diffusion XL C1E1DE52")]
    made = read(*blocks, ("png/tEXt/Comment", {**NOVELAI, "uc": "bad", "noise_schedule": "native"}))
    assert basics(made) == ("cat", "bad", "880673757", 28, 5.0, "k_euler", "native", "Stable Diffusion XL C1E1DE52")


def test_novelai_whose_prompt_stands_in_the_description() -> None:
    comment = {key: value for key, value in NOVELAI.items() if key != "prompt"} | {"uc": ""}
    made = read(("png/tEXt/Description", "a cat"), ("png/tEXt/Comment", comment))
    assert (made.prompt, made.negative_prompt, made.origins["prompt"]) == ("a cat", "", "png/tEXt/Description")


def test_novelai_4_in_webp() -> None:
    captions = {"caption": {"base_caption": "bad", "char_captions": [{"char_caption": "a boy", "centers": []}]}}
    inner = json.dumps({**NOVELAI, "v4_prompt": {"caption": {"base_caption": "cat"}}, "v4_negative_prompt": captions})
    made = read(("exif/Software", "NovelAI Diffusion V4.5 C02D4F98"), ("exif/UserComment", {"Comment": inner}))
    assert (made.prompt, made.negative_prompt, made.model) == ("cat", "bad", "NovelAI Diffusion V4.5 C02D4F98")
    assert ("character 1 negative prompt", "a boy") in made.settings


@pytest.mark.parametrize("place", ["png/tEXt/parameters", "exif/UserComment"])
def test_fooocus(place: str) -> None:
    data = {
        "base_model": "jugg",
        "base_model_hash": "aeb7",
        "full_prompt": ["cinematic cat", "cat, deep focus"],
        "guidance_scale": 4,
        "loras": [["offset.safetensors", 0.1, "hash"]],
        "negative_prompt": "",
        "prompt": "cat",
        "resolution": "(768, 1280)",
        "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras",
        "seed": "6952411511246973023",
        "steps": 30,
        "version": "Fooocus v2.2.0",
    }
    made = read((place, data))
    assert basics(made) == ("cat", "", "6952411511246973023", 30, 4.0, "dpmpp_2m_sde_gpu", "karras", "jugg")
    assert (made.generator, made.width, made.height, made.loras) == (
        "Fooocus",
        768,
        1280,
        (Lora("offset.safetensors", 0.1, "hash"),),
    )
    assert made.settings == (("full_prompt", "cinematic cat"), ("full_prompt", "cat, deep focus"))
    titled = {key.replace("_", " ").title(): value for key, value in data.items()}
    assert basics(read((place, titled))) == basics(made)


def test_fooocus_with_combined_loras() -> None:
    data = {"base_model": "m", "guidance_scale": 4, "lora_combined_1": "a : b.safetensors : 0.25"}
    assert read(("png/tEXt/parameters", data)).loras == (Lora("a : b.safetensors", 0.25),)


SWARM = {
    "sui_image_params": {
        "prompt": "cat",
        "negativeprompt": "bad",
        "model": "wai",
        "seed": 697543491,
        "steps": 20,
        "cfgscale": 7.0,
        "width": 1024,
        "height": 768,
        "sampler": "euler_ancestral",
        "scheduler": "karras",
        "loras": ["a", "b"],
        "loraweights": ["0.8", "1"],
        "swarm_version": "0.9.7.4",
        "aspectratio": "4:3",
    },
    "sui_models": [
        {"name": "wai.safetensors", "param": "model", "hash": "0x22"},
        {"name": "b.safetensors", "param": "loras", "hash": "0x33"},
    ],
}


@pytest.mark.parametrize("place", ["png/tEXt/parameters", "exif/UserComment", "swarm.json"])
def test_swarmui(place: str) -> None:
    made = read((place, SWARM))
    assert basics(made) == ("cat", "bad", "697543491", 20, 7.0, "euler_ancestral", "karras", "wai")
    assert (made.model_hash, made.version) == ("0x22", "0.9.7.4")
    assert made.loras == (Lora("a", 0.8), Lora("b", 1.0, "0x33"))
    assert made.settings == (("aspectratio", "4:3"),)


def test_swarmui_beside_its_graph_keeps_its_own_words() -> None:
    made = read(("png/tEXt/prompt", GRAPH), ("png/tEXt/parameters", SWARM))
    assert (made.generator, made.prompt, made.model, made.graph) == ("SwarmUI", "cat", "wai", "png/tEXt/prompt")


def test_ruined_fooocus_is_not_taken_for_fooocus() -> None:
    data = {"Prompt": "cat", "Negative": "bad", "steps": 30, "cfg": 8, "width": 64, "height": 48, "seed": 2020047614}
    data |= {"sampler_name": "dpmpp", "scheduler": "karras", "base_model_name": "wai.safetensors", "base_model_hash": "BE"}
    made = read(("png/tEXt/parameters", data | {"clip_skip": 1, "software": "RuinedFooocus"}))
    assert basics(made) == ("cat", "bad", "2020047614", 30, 8.0, "dpmpp", "karras", "wai.safetensors")
    assert made.generator == "RuinedFooocus"


def test_a_hugging_face_space() -> None:
    data = {"prompt": "cat", "negative_prompt": "bad", "resolution": "1024 x 768", "guidance_scale": 5.5, "num_inference_steps": 24}
    made = read(
        ("png/tEXt/parameters", data | {"seed": 443800072, "sampler": "DPM++ 2M Karras", "Model": "WAI", "Model hash": "BD"})
    )
    assert basics(made) == ("cat", "bad", "443800072", 24, 5.5, "DPM++ 2M Karras", None, "WAI")
    assert (made.generator, made.width, made.height) == ("Hugging Face", 1024, 768)


def test_wangp() -> None:
    data = {"type": "WanGP v8.9 by DeepBeepMeep", "prompt": "a fox", "resolution": "832x480", "num_inference_steps": 30, "seed": 5}
    made = read(("mp4/comment", data | {"guidance_scale": 6, "model_type": "t2v", "negative_prompt": ""}))
    assert (made.generator, made.prompt, made.width, made.steps, made.model) == ("WanGP", "a fox", 832, 30, "t2v")


def test_easy_diffusion_in_single_texts_is_not_taken_for_comfyui() -> None:
    texts = {"prompt": "cat", "negative_prompt": "bad", "seed": "12345", "use_stable_diffusion_model": "sd-v1-5"}
    texts |= {"sampler_name": "euler_a", "num_inference_steps": "25", "guidance_scale": "7.5", "width": "512", "height": "768"}
    made = read(*((f"png/tEXt/{key}", value) for key, value in texts.items()))
    assert basics(made) == ("cat", "bad", "12345", 25, 7.5, "euler_a", None, "sd-v1-5")
    assert made.origins["seed"] == "png/tEXt/seed"
    assert basics(read(("exif/UserComment", texts))) == basics(made)


@pytest.mark.parametrize("packed", [True, False])
def test_draw_things(packed: bool) -> None:
    data = json.dumps(
        {"c": "a guitar & <drum>", "uc": "ocean", "model": "sd.ckpt", "sampler": "DDIM", "scale": 10, "seed": 7, "size": "1152x768"}
        | {"steps": 10, "strength": 1, "lora": [{"model": "l.ckpt", "weight": 0.6}]}
    )
    item = f'<rdf:Alt><rdf:li xml:lang="x-default">{html.escape(data)}</rdf:li></rdf:Alt>'
    packet = f"<x:xmpmeta><rdf:RDF><exif:UserComment>{item}</exif:UserComment></rdf:RDF></x:xmpmeta>"
    made = read(("png/iTXt/XML:com.adobe.xmp", packet) if packed else ("exif/UserComment", data))
    assert basics(made) == ("a guitar & <drum>", "ocean", "7", 10, 10.0, "DDIM", None, "sd.ckpt")
    assert (made.generator, made.width, made.loras) == ("Draw Things", 1152, (Lora("l.ckpt", 0.6),))


def test_stability_matrix_keeps_its_words_and_takes_the_rest_from_the_graph() -> None:
    data = {
        "PositivePrompt": "cat,\r\ndog",
        "NegativePrompt": "bad",
        "Steps": 20,
        "Sampler": "Euler Ancestral Karras",
        "CfgScale": 5,
    }
    data |= {"Seed": 395309383, "Height": 48, "Width": 64, "ModelHash": "A5", "ModelName": "wai.safetensors"}
    text = "other words\nSteps: 1, Seed: 1"
    made = read(("png/tEXt/prompt", GRAPH), ("png/tEXt/parameters", text), ("png/tEXt/parameters-json", data))
    assert basics(made) == ("cat,\ndog", "bad", "395309383", 20, 5.0, "Euler Ancestral Karras", "karras", "wai.safetensors")
    assert (made.generator, made.graph, made.origins["scheduler"]) == ("StabilityMatrix", "png/tEXt/prompt", "png/tEXt/prompt")


def test_tensorart_was_asked_for_any_seed_and_the_graph_knows_which_it_was() -> None:
    data = {"prompt": "asked", "negativePrompt": "bad", "seed": "-1", "steps": 25, "clipSkip": 2}
    made = read(("png/tEXt/generation_data", data), ("png/tEXt/prompt", GRAPH))
    assert (made.generator, made.seed, made.clip_skip) == ("TensorArt", "18446744073709551615", 2)
    alone = read(("png/tEXt/generation_data", data | {"baseModel": {"modelFileName": "m", "hash": "h"}}))
    assert (alone.prompt, alone.seed, alone.model, alone.model_hash) == ("asked", None, "m", "h")


def test_a_saver_that_does_not_know_says_less_than_the_graph() -> None:
    settings = "Steps: 20, Sampler: euler, CFG scale: 7, Seed: 0, Size: 512x512, Model: None, Clip skip: 2"
    text = f"unknown\nNegative prompt: unknown\n{settings}"
    made = read(("png/tEXt/parameters", text), ("png/tEXt/prompt", GRAPH))
    assert basics(made) == (
        "the graph's prompt",
        "the graph's negative",
        "18446744073709551615",
        25,
        7.0,
        "euler",
        "karras",
        "graph.safetensors",
    )
    assert made.generator == "ComfyUI"
    assert made.clip_skip == 2


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("png/tEXt/Software", "Adobe Photoshop 25.0"),
        ("png/tEXt/Comment", "Created with GIMP"),
        ("png/tEXt/Comment", '{"steps": 3}'),
        ("exif/UserComment", "{}"),
        ("exif/UserComment", '{"prompt": "is not enough"}'),
        ("exif/Make", "Canon"),
        ("exif/ImageDescription", "SONY DSC"),
        ("png/tEXt/date:create", "2026-01-01T00:00:00+00:00"),
        ("mp4/encoder", "Lavf62.0.100"),
        ("png/iTXt/XML:com.adobe.xmp", "<x:xmpmeta><exif:UserComment>"),
    ],
)
def test_what_others_write_is_no_generation(place: str, text: str) -> None:
    assert generation_of([RawBlock(place, text)]) is None


def test_nothing_was_found_where_there_is_nothing() -> None:
    assert generation_of([]) is None


KEYS = (
    "parameters",
    "UserComment",
    "Comment",
    "generation_data",
    "parameters-json",
    "invokeai_metadata",
    "sd-metadata",
    "prompt",
)
WORDS = (
    *(
        "prompt",
        "negativePrompt",
        "uc",
        "scale",
        "sampler",
        "seed",
        "steps",
        "sui_image_params",
        "sui_models",
        "loras",
        "model",
        "image",
    ),
    *(
        "base_model",
        "guidance_scale",
        "num_inference_steps",
        "baseModel",
        "v4_prompt",
        "caption",
        "char_captions",
        "PositivePrompt",
    ),
    *("ModelName", "type", "software", "Prompt", "Negative", "c", "lora", "vae", "resolution", "full_prompt", "lora_combined_1"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | st.text(max_size=8) | st.just("WanGP v9"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=8),
    max_leaves=20,
)


@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.dictionaries(st.sampled_from(WORDS), JSON, max_size=12)), min_size=1, max_size=3)
)
def test_no_object_makes_any_of_them_fail_and_nothing_is_invented(blocks: list[tuple[str, dict[str, object]]]) -> None:
    texts = [RawBlock(f"png/tEXt/{key}", json.dumps(data)) for key, data in blocks]
    made = generation_of(texts)
    if made is not None:
        said = "".join(text.text for text in texts)
        for seed in (made.seed, *(one.seed for one in made.samplings)):
            assert seed is None or seed in said
        for value in (made.prompt, made.negative_prompt, made.model, made.sampler, *(one.name for one in made.loras)):
            assert value is None or any(is_said(value.strip(), said, way) for way in (str, escaped))


def is_said(value: str, said: str, way: Callable[[str], str]) -> bool:
    """Line by line: line ends become those of Unix, parts are joined."""
    return all(way(line).strip() in said for line in value.split("\n"))


def escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def test_every_parser_stands_in_the_table_once() -> None:
    assert len(set(map(id, PARSERS))) == len(PARSERS) >= 12
