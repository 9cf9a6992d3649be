"""The size that was asked for."""

from __future__ import annotations

import pytest

from tests.media.generation.comfy.making import Graph, link, node, read_plain, sampler


@pytest.mark.parametrize(
    "latent",
    [
        node("EmptySD3LatentImage", width=832, height=1216, batch_size=1),
        node("EmptyHunyuanLatentVideo", width=832, height=1216, length=33, batch_size=1),
        node("EmptyLatentImage", width=link("width"), height=link("height")),
        node("EmptyLatentImage", width=link("ratio", 0), height=link("ratio", 1)),
        node("EmptyLatentImage", width=link("turned", 0), height=link("turned", 1)),
        node("SDXLEmptyLatentSizePicker+", resolution="832x1216 (0.68)", batch_size=1, width_override=0, height_override=0),
        node("SDXL Empty Latent Image (rgthree)", dimensions=" 832 x 1216  (portrait)", clip_scale=2, batch_size=1),
        node("easy fullLoader", ckpt_name="m", resolution="832 x 1216", empty_latent_width=512, empty_latent_height=512),
        node(
            "easy fullLoader", ckpt_name="m", resolution="width x height (custom)", empty_latent_width=832, empty_latent_height=1216
        ),
        node("RepeatLatentBatch", samples=link("empty"), amount=2),
        node("WanImageToVideo", width=832, height=1216, length=81, start_image=link("picture")),
    ],
    ids=lambda latent: latent["class_type"],
)
def test_it_is_that_of_the_empty_latents(latent: Graph) -> None:
    generation = read_plain(
        latent=latent,
        width=node("INTConstant", value=832),
        height=node("PrimitiveInt", value=1216),
        ratio=node("CR SDXL Aspect Ratio", width=1024, height=1024, aspect_ratio="3:4 portrait 832x1216", swap_dimensions="Off"),
        turned=node("CR SDXL Aspect Ratio", width=1, height=1, aspect_ratio="4:3 landscape 1216x832", swap_dimensions="On"),
        empty=node("EmptyLatentImage", width=832, height=1216, batch_size=1),
        picture=node("LoadImage", image="in.png"),
    )
    assert (generation.width, generation.height) == (832, 1216)


@pytest.mark.parametrize(
    "latent",
    [
        node("VAEEncode", pixels=link("scaled"), vae=link("model", 2)),
        node("LatentUpscale", samples=link("loaded"), width=2048, height=2048),
        node("SetLatentNoiseMask", samples=link("encoded"), mask=link("picture", 1)),
        node("EmptyLatentImage", width=link("measured", 0), height=link("measured", 1)),
        node("EmptyLatentImage", width=link("ratio", 0), height=link("ratio", 1)),
        node("EmptyLatentImage", width=0, height=-8),
        node("EmptyLatentImage", width=512, height=float("nan")),
        node("EmptyLatentImage", width=True, height=True),
        node("Nothing"),
    ],
    ids=lambda latent: latent["class_type"],
)
def test_a_picture_as_a_beginning_and_a_computed_size_have_none(latent: Graph) -> None:
    generation = read_plain(
        latent=latent,
        picture=node("LoadImage", image="in.png"),
        scaled=node("ImageScale", image=link("picture"), width=1024, height=1024),
        encoded=node("VAEEncode", pixels=link("scaled"), vae=link("model", 2)),
        loaded=node("LoadLatent", latent="x.latent"),
        measured=node("GetImageSize", image=link("picture")),
        ratio=node("ResolutionSelector", aspect_ratio="9:16 (Portrait)", megapixels=0.8),
    )
    assert (generation.width, generation.height) == (None, None)


def test_the_size_of_a_picture_that_a_pipe_begins_with_is_unknown() -> None:
    generation = read_plain(
        load=node("easy fullLoader", ckpt_name="m", positive="p", negative="n", empty_latent_width=512, empty_latent_height=512),
        pre=node("easy preSampling", pipe=link("load"), image_to_latent=link("picture"), seed=1, steps=2, cfg=3),
        picture=node("LoadImage", image="in.png"),
        sampler=node("easy kSampler", pipe=link("pre")),
        again=sampler(),
    )
    assert (generation.prompt, generation.width) == ("p", None)
