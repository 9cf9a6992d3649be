"""Which samplers there are, in which order, and what each was given."""

from __future__ import annotations

import pytest

from forged.model.media import Sampling
from tests.media.generation.comfy.making import link, node, plain, read, read_plain, sampler


def test_a_picture_from_text_has_all_of_it() -> None:
    generation = read_plain()
    assert generation.samplings == (Sampling("sampler", "42", 20, 7.5, "euler", "karras", 1.0, "base.safetensors"),)
    assert (generation.generator, generation.seed, generation.steps, generation.cfg) == ("ComfyUI", "42", 20, 7.5)
    assert (generation.sampler, generation.scheduler, generation.denoise) == ("euler", "karras", 1.0)
    assert (generation.prompt, generation.negative_prompt, generation.model) == ("a cat", "a dog", "base.safetensors")
    assert (generation.width, generation.height, generation.graph) == (640, 960, "png/tEXt/prompt")


def test_what_is_filled_has_an_origin_and_nothing_else() -> None:
    generation = read_plain(negative=None)
    assert set(generation.origins.values()) == {"png/tEXt/prompt"}
    assert "negative_prompt" not in generation.origins and "vae" not in generation.origins and "loras" not in generation.origins
    assert {"prompt", "seed", "samplings", "width", "model", "graph"} <= generation.origins.keys()


def hires(**changes: object) -> dict[str, object]:
    return plain(
        again=sampler(seed=7, steps=5, denoise=0.4, latent_image=link("bigger")),
        bigger=node("LatentUpscale", samples=link("sampler"), width=1280, height=1920),
        decode=node("VAEDecode", samples=link("again"), vae=link("model", 2)),
        **changes,
    )


def test_the_first_pass_is_what_the_fields_say() -> None:
    generation = read(hires())
    assert [one.id for one in generation.samplings] == ["sampler", "again"]
    assert (generation.seed, generation.steps, generation.width, generation.denoise) == ("42", 20, 640, 1.0)


def test_a_sampler_off_the_path_to_what_was_saved_is_none_of_it() -> None:
    stray = {"stray": sampler(seed=1), "seen": node("PreviewImage", images=link("stray"))}
    assert [one.id for one in read(hires(**stray)).samplings] == ["sampler", "again"]


def test_two_saved_passes_of_one_chain_have_one_first() -> None:
    both = {"early": node("VAEDecode", samples=link("sampler")), "save_early": node("SaveImage", images=link("early"))}
    assert [one.id for one in read(hires(**both)).samplings] == ["sampler", "again"]


def test_of_two_saved_pictures_only_what_they_agree_on_is_said() -> None:
    other = {
        "sampler_2": sampler(seed=43, positive=link("positive_2")),
        "positive_2": node("CLIPTextEncode", text="a bird"),
        "decode_2": node("VAEDecode", samples=link("sampler_2")),
        "save_2": node("SaveImage", images=link("decode_2")),
    }
    generation = read_plain(**other)
    assert (generation.seed, generation.prompt, generation.prompts) == (None, None, ("a cat", "a bird"))
    assert (generation.steps, generation.negative_prompt, generation.width) == (20, "a dog", 640)


def test_latents_of_several_that_go_on_together_are_no_single_pass() -> None:
    generation = read_plain(
        one=sampler(seed=1),
        two=sampler(seed=2),
        put=node("LatentComposite", samples_to=link("one"), samples_from=link("two"), x=0, y=0),
        sampler=sampler(seed=0, sampler_name="uni_pc", add_noise="disable", latent_image=link("put")),
    )
    assert [one.id for one in generation.samplings] == ["one", "two", "sampler"]
    assert (generation.seed, generation.sampler, generation.model) == (None, None, "base.safetensors")


def test_a_second_model_goes_on_without_new_noise() -> None:
    generation = read_plain(
        sampler=node(
            "KSamplerAdvanced", add_noise="disable", noise_seed=0, steps=8, cfg=1, model=link("low"), latent_image=link("high")
        ),
        high=node(
            "KSamplerAdvanced",
            add_noise="enable",
            noise_seed=99,
            steps=8,
            cfg=3.5,
            model=link("model"),
            latent_image=link("latent"),
        ),
        low=node("UNETLoader", unet_name="low.safetensors"),
    )
    assert [(one.id, one.model) for one in generation.samplings] == [("high", "base.safetensors"), ("sampler", "low.safetensors")]
    assert (generation.seed, generation.cfg, generation.denoise) == ("99", 3.5, None)


def custom(guider: dict[str, object], **changes: object) -> dict[str, object]:
    return plain(
        sampler=node(
            "SamplerCustomAdvanced",
            noise=link("noise"),
            guider=link("guider"),
            sampler=link("select"),
            sigmas=link("sigmas"),
            latent_image=link("latent"),
        ),
        noise=node("RandomNoise", noise_seed=18446744073709551615),
        select=node("KSamplerSelect", sampler_name="dpmpp_2m"),
        sigmas=node("BasicScheduler", scheduler="beta", steps=28, denoise=0.8, model=link("model")),
        guider=guider,
        **changes,
    )


def test_a_sampler_of_parts_is_put_together() -> None:
    guider = node("CFGGuider", cfg=4, model=link("model"), positive=link("positive"), negative=link("negative"))
    generation = read(custom(guider))
    assert generation.samplings == (
        Sampling("sampler", "18446744073709551615", 28, 4.0, "dpmpp_2m", "beta", 0.8, "base.safetensors"),
    )
    assert (generation.prompt, generation.negative_prompt) == ("a cat", "a dog")


def test_flux_has_guidance_and_neither_cfg_nor_a_negative_text() -> None:
    guided = node("FluxGuidance", guidance=3.5, conditioning=link("positive"))
    generation = read(custom(node("BasicGuider", model=link("model"), conditioning=link("guided")), guided=guided))
    assert (generation.prompt, generation.negative_prompt, generation.cfg) == ("a cat", None, None)
    assert generation.settings == (("guidance", "3.5"),)


def test_what_a_sampler_of_parts_computes_stays_unknown() -> None:
    guider = node("CFGGuider", cfg=4, model=link("model"), positive=link("positive"), negative=link("negative"))
    parts = {"sigmas": node("ManualSigmas", sigmas="1., 0.5, 0."), "noise": node("DisableNoise"), "select": node("SamplerLCM", s=1)}
    generation = read({**custom(guider), **parts})
    assert (generation.seed, generation.steps, generation.scheduler, generation.sampler) == (None, None, None, None)


def test_sigmas_may_be_split() -> None:
    guider = node("CFGGuider", cfg=4, model=link("model"), positive=link("positive"), negative=link("negative"))
    graph = custom(guider, whole=node("KarrasScheduler", steps=30))
    assert read({**graph, "sigmas": node("SplitSigmas", sigmas=link("whole"), step=15)}).steps == 30


def test_two_texts_guide_at_once() -> None:
    guider = node(
        "DualCFGGuider", model=link("model"), cond1=link("positive"), cond2=link("other"), negative=link("negative"), cfg_conds=6
    )
    generation = read(custom(guider, other=node("CLIPTextEncode", text="a bird")))
    assert (generation.prompt, generation.prompts, generation.negative_prompt) == (None, ("a cat", "a bird"), "a dog")


def test_nodes_nobody_has_seen_work_by_the_names_of_their_inputs() -> None:
    generation = read_plain(
        sampler=node(
            "Frobnicate", noise_seed=5, steps=9, cfg=2, sampler="heun", scheduler="x", model=link("load"), positive=link("enc")
        ),
        load=node("GlorpLoader", unet_name="glorp.gguf"),
        enc=node("GlorpEncoder", prompt="a fox", glorp=1),
        decode=node("GlorpDecode", latents=link("sampler")),
        save=node("GlorpSaver", stuff=link("decode"), filename_prefix="x"),
    )
    assert (generation.seed, generation.steps, generation.cfg, generation.sampler) == ("5", 9, 2.0, "heun")
    assert (generation.model, generation.prompt) == ("glorp.gguf", "a fox")


def test_a_node_that_calls_a_service_has_a_prompt_and_a_seed() -> None:
    call = node("FluxProUltraImageNode", prompt="a ship", seed=3, aspect_ratio="16:9", raw=False)
    generation = read({"call": call, "save": node("SaveImage", images=link("call"))})
    assert (generation.prompt, generation.seed, generation.steps, generation.width) == ("a ship", "3", None, None)


def test_passes_on_pictures_come_after_what_made_them() -> None:
    face = {name: link(name) for name in ("model", "positive", "negative")}
    generation = read_plain(
        face=node(
            "FaceDetailer", image=link("decode"), seed=8, steps=12, cfg=5, sampler_name="lcm", scheduler="x", denoise=0.3, **face
        ),
        big=node(
            "UltimateSDUpscale", image=link("face"), seed=9, steps=10, cfg=5, sampler_name="lcm", scheduler="x", denoise=0.2, **face
        ),
        save=node("SaveImage", images=link("big")),
    )
    assert [(one.id, one.seed, one.denoise) for one in generation.samplings] == [
        ("sampler", "42", 1.0),
        ("face", "8", 0.3),
        ("big", "9", 0.2),
    ]


def test_a_film_of_a_picture_began_with_the_picture() -> None:
    generation = read_plain(
        motion=node("SVD_img2vid_Conditioning", width=512, height=288, init_image=link("decode"), clip_vision=link("svd", 1)),
        svd=node("ImageOnlyCheckpointLoader", ckpt_name="svd.safetensors"),
        film=sampler(
            seed=6, model=link("svd"), positive=link("motion"), negative=link("motion", 1), latent_image=link("motion", 2)
        ),
        decode_film=node("VAEDecode", samples=link("film")),
        save=node("SaveAnimatedWEBP", images=link("decode_film"), filename_prefix="x"),
    )
    assert [(one.id, one.model) for one in generation.samplings] == [("sampler", "base.safetensors"), ("film", "svd.safetensors")]
    assert (generation.prompt, generation.width) == ("a cat", 640)


@pytest.mark.parametrize("kind", ["easy kSampler", "easy fullkSampler"])
def test_easy_use_has_it_all_in_a_pipe(kind: str) -> None:
    loader = {"ckpt_name": "easy.safetensors", "positive": "a cat", "positive_token_normalization": "none", "negative": ""}
    size = {"resolution": "width x height (custom)", "empty_latent_width": 832, "empty_latent_height": 1216}
    lora = {"lora_name": "style.safetensors", "lora_model_strength": 0.7, "clip_skip": -2}
    settings = {"steps": 25, "cfg": 6, "sampler_name": "dpmpp_sde", "scheduler": "karras", "denoise": 1, "seed": 77}
    generation = read(
        {
            "load": node("easy fullLoader", **loader, **size, **lora),
            "pre": node("easy preSampling", pipe=link("load"), **settings),
            "sample": node(kind, pipe=link("pre"), image_output="Save", save_prefix="x", link_id=0),
        }
    )
    (one,) = generation.samplings
    assert one == Sampling("sample", "77", 25, 6.0, "dpmpp_sde", "karras", 1.0, "easy.safetensors")
    assert (generation.prompt, generation.negative_prompt, generation.width, generation.clip_skip) == ("a cat", "", 832, 2)
    assert [(lora.name, lora.weight) for lora in generation.loras] == [("style.safetensors", 0.7)]


def test_a_basic_pipe_is_followed_through_its_ends() -> None:
    parts = {name: link(name) for name in ("model", "positive", "negative")}
    generation = read_plain(
        to=node("ToBasicPipe", clip=link("model", 1), vae=link("model", 2), **parts),
        out=node("FromBasicPipe", basic_pipe=link("to")),
        sampler=sampler(model=link("out", 0), positive=link("out", 3), negative=link("out", 4)),
    )
    assert (generation.prompt, generation.negative_prompt, generation.model) == ("a cat", "a dog", "base.safetensors")


def test_an_rgthree_context_hands_on_what_an_earlier_one_took() -> None:
    parts = {name: link(name) for name in ("model", "positive", "negative")}
    generation = read_plain(
        seed=node("Seed (rgthree)", seed=1234),
        config=node("KSampler Config (rgthree)", steps_total=33, refiner_step=20, cfg=3, sampler_name="heun", scheduler="simple"),
        big=node(
            "Context Big (rgthree)",
            **parts,
            seed=link("seed"),
            steps=link("config"),
            cfg=link("config", 2),
            sampler=link("config", 3),
        ),
        context=node("Context (rgthree)", base_ctx=link("big"), latent=link("latent")),
        sampler=sampler(
            seed=link("context", 8),
            steps=link("config", 0),
            cfg=link("config", 2),
            sampler_name=link("config", 3),
            model=link("context", 1),
            positive=link("context", 4),
            negative=link("context", 5),
        ),
    )
    assert (generation.seed, generation.steps, generation.cfg, generation.sampler) == ("1234", 33, 3.0, "heun")
    assert (generation.prompt, generation.negative_prompt, generation.model) == ("a cat", "a dog", "base.safetensors")


def test_wan_wrapper_has_embeds_instead_of_conditioning() -> None:
    inputs = {"steps": 6, "cfg": 1.0, "shift": 5, "seed": 11, "scheduler": "unipc"}
    links = {"model": link("load"), "text_embeds": link("text"), "image_embeds": link("empty")}
    generation = read(
        {
            "load": node("WanVideoModelLoader", model="wan.safetensors", base_precision="bf16", lora=link("lora")),
            "lora": node("WanVideoLoraSelect", lora="motion.safetensors", strength=0.9, prev_lora=link("lora_2")),
            "lora_2": node("WanVideoLoraSelect", lora="style.safetensors", strength=0.5),
            "text": node("WanVideoTextEncode", positive_prompt="a river", negative_prompt="fog", t5=link("t5")),
            "empty": node("WanVideoEmptyEmbeds", width=832, height=480, num_frames=81),
            "sample": node("WanVideoSampler", **inputs, **links),
            "decode": node("WanVideoDecode", samples=link("sample"), vae=link("vae")),
            "save": node("VHS_VideoCombine", images=link("decode"), save_output=True, filename_prefix="x"),
        },
        "mp4/prompt",
    )
    assert (generation.prompt, generation.negative_prompt, generation.model) == ("a river", "fog", "wan.safetensors")
    assert (generation.seed, generation.scheduler, generation.width, generation.height) == ("11", "unipc", 832, 480)
    assert [(lora.name, lora.weight) for lora in generation.loras] == [("motion.safetensors", 0.9), ("style.safetensors", 0.5)]


def test_the_sound_of_a_film_is_not_its_picture() -> None:
    generation = read_plain(
        song=sampler(seed=6, positive=link("tags")),
        tags=node("TextEncodeAceStepAudio", tags="a song", lyrics=""),
        heard=node("VAEDecodeAudio", samples=link("song")),
        save=node("VHS_VideoCombine", images=link("decode"), audio=link("heard"), filename_prefix="x"),
    )
    assert ([one.id for one in generation.samplings], generation.prompt) == (["sampler"], "a cat")
