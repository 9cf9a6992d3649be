"""Models, VAEs and LoRAs."""

from __future__ import annotations

import pytest

from tests.media.generation.comfy.making import Graph, link, node, read_plain, sampler


@pytest.mark.parametrize(
    "loader",
    [
        node("CheckpointLoaderSimple", ckpt_name="m.safetensors"),
        node("CheckpointLoader|pysssss", ckpt_name={"content": "m.safetensors", "image": None}),
        node("UNETLoader", unet_name="m.safetensors", weight_dtype="default"),
        node("UnetLoaderGGUF", unet_name="m.safetensors"),
        node("WanVideoModelLoader", model="m.safetensors", base_precision="bf16"),
        node("DiffusersLoader", model_path="m.safetensors"),
        node("CheckpointLoaderSimple", ckpt_name=link("name")),
        node("ModelSamplingFlux", model=link("inner"), max_shift=1.15, base_shift=0.5, width=1, height=1),
        node("IPAdapterAdvanced", model=link("inner"), ipadapter=link("other"), weight=1),
        node("ImpactSwitch", select=1, input1=link("inner"), input2=link("other")),
        node("ModelPatcherNobodyKnows", model=link("inner"), model_name="patch.safetensors"),
    ],
    ids=lambda loader: loader["class_type"],
)
def test_the_model_is_what_the_loader_names(loader: Graph) -> None:
    inner, other = node("UNETLoader", unet_name="m.safetensors"), node("UNETLoader", unet_name="other.safetensors")
    generation = read_plain(model=loader, name=node("Primitive", value="m.safetensors"), inner=inner, other=other)
    assert generation.model == generation.samplings[0].model == "m.safetensors"


def test_a_merged_model_has_no_single_name() -> None:
    models = {"a": node("UNETLoader", unet_name="a.safetensors"), "b": node("UNETLoader", unet_name="b.safetensors")}
    assert read_plain(model=node("ModelMergeSimple", model1=link("a"), model2=link("b"), ratio=0.5), **models).model is None


def loras_of(**nodes: object) -> list[tuple[str, float | None]]:
    return [(lora.name, lora.weight) for lora in read_plain(**nodes).loras]


def test_loras_are_listed_from_the_sampler_on() -> None:
    near = node("LoraLoader", lora_name="near", strength_model=0.5, strength_clip=1, model=link("far"), clip=link("far", 1))
    far = node("LoraLoaderModelOnly", lora_name="far", strength_model=-1.25, model=link("model"))
    assert loras_of(sampler=sampler(model=link("near")), near=near, far=far) == [("near", 0.5), ("far", -1.25)]


@pytest.mark.parametrize(
    "loader",
    [
        node(
            "Power Lora Loader (rgthree)",
            PowerLoraLoaderHeaderWidget={"type": "PowerLoraLoaderHeaderWidget"},
            lora_1={"on": True, "lora": "a", "strength": 0.7},
            lora_2={"on": False, "lora": "off", "strength": 1},
            lora_3={"on": True, "lora": "None", "strength": 1},
            lora_4={"on": True, "lora": "b", "strength": 1},
            model=link("model"),
        ),
        node(
            "Lora Loader Stack (rgthree)",
            lora_01="a",
            strength_01=0.7,
            lora_02="b",
            strength_02=1,
            lora_03="None",
            strength_03=1,
            model=link("model"),
        ),
        node("CR Apply LoRA Stack", model=link("model"), clip=link("model", 1), lora_stack=link("stack")),
        node("LoraLoaderBlockWeight //Inspire", lora_name="a", strength_model=0.7, model=link("b")),
        node(
            "Lora Loader (LoraManager)",
            loras={"__value__": [{"name": "a", "strength": 0.7, "active": True}, {"name": "off", "strength": 1, "active": False}]},
            model=link("b"),
        ),
        node("PCLazyLoraLoader", text="a fox <lora:a:0.7><lora:b:1>", model=link("model"), clip=link("model", 1)),
        node("LoraLoader", lora_name="a", strength_model=link("weight"), model=link("b")),
        node("LoraLoader", lora_name="a", strength_model=0.7, model=link("zero")),
    ],
    ids=lambda loader: loader["class_type"],
)
def test_loras_of_all_kinds_of_loaders(loader: Graph) -> None:
    stack = node(
        "CR LoRA Stack",
        **{"switch_1": "On", "lora_name_1": "a", "model_weight_1": 0.7, "clip_weight_1": 1},
        **{"switch_2": "Off", "lora_name_2": "off", "model_weight_2": 1, "clip_weight_2": 1},
        **{"switch_3": "On", "lora_name_3": "b", "model_weight_3": 1, "clip_weight_3": 1},
    )
    more = {
        "b": node("LoraLoader", lora_name="b", strength_model=1, model=link("model")),
        "zero": node("LoraLoader", lora_name="unused", strength_model=0, model=link("b")),
        "weight": node("FloatConstant", value=0.7),
    }
    assert loras_of(sampler=sampler(model=link("loader")), loader=loader, stack=stack, **more) == [("a", 0.7), ("b", 1.0)]


@pytest.mark.parametrize(("mode", "weight"), [("simple", 0.3), ("advanced", 0.6)])
def test_a_stacker_says_which_of_its_weights_count(mode: str, weight: float) -> None:
    numbers = {"lora_wt_1": 0.3, "model_str_1": 0.6, "clip_str_1": 0.9}
    stack = node("LoRA Stacker", input_mode=mode, lora_count=1, lora_name_1="a", **numbers, lora_name_2="beyond", lora_wt_2=1)
    loader = node(
        "Efficient Loader",
        ckpt_name="m",
        lora_name="None",
        lora_model_strength=1,
        positive="p",
        negative="n",
        lora_stack=link("stack"),
    )
    assert loras_of(model=loader, stack=stack) == [("a", weight)]


def test_the_vae_is_named_where_it_is_not_the_models_own() -> None:
    decode = node("VAEDecode", samples=link("sampler"), vae=link("vae"))
    assert read_plain(decode=decode, vae=node("VAELoader", vae_name="v.safetensors")).vae == "v.safetensors"
    assert read_plain().vae is None
    assert read_plain(decode=decode, vae=node("Efficient Loader", ckpt_name="m", vae_name="Baked VAE")).vae is None
