"""Prompts: where they stand, how they were combined, and when they are in no graph."""

from __future__ import annotations

import pytest

from tests.media.generation.comfy.making import Graph, link, node, plain, read, read_plain


def prompt_of(text: object, **nodes: object) -> str | None:
    """The prompt where the encoder is given this, a text or a link."""
    return read_plain(positive=node("CLIPTextEncode", text=text, clip=link("model", 1)), **nodes).prompt


@pytest.mark.parametrize(
    "encoder",
    [
        node("TextEncodeQwenImageEdit", prompt="a fox", clip=link("model", 1), image=link("picture")),
        node("CLIPTextEncodeFlux", clip_l="a fox", t5xxl="a fox", guidance=3.5),
        node("CLIPTextEncodeFlux", clip_l="", t5xxl="a fox", guidance=3.5),
        node("CLIPTextEncodeSDXL", text_g="a fox", text_l="a fox", width=1, height=1),
        node("CLIPTextEncodeSDXLRefiner", text="a fox", ascore=6, width=1, height=1),
        node("CLIPTextEncodeHiDream", clip_l="", clip_g="", t5xxl="a fox", llama="a fox"),
        node("CLIPTextEncodeLumina2", system_prompt="superior", user_prompt="a fox"),
        node("smZ CLIPTextEncode", text="a fox", parser="A1111", text_g="", text_l="", with_SDXL=False),
        node("Power Prompt (rgthree)", prompt="a fox", insert_lora="CHOOSE", opt_clip=link("model", 1)),
        node("ImpactWildcardEncode", wildcard_text="a {fox|hen}", populated_text="a fox", mode="populate", seed=1),
        node("TextEncodeAceStepAudio", tags="a fox", lyrics="la la", lyrics_strength=1),
    ],
    ids=lambda encoder: encoder["class_type"],
)
def test_encoders_are_known_by_their_inputs(encoder: Graph) -> None:
    assert read_plain(positive=encoder).prompt == "a fox"


def test_the_main_encoder_has_the_prompt_and_the_other_text_is_kept() -> None:
    generation = read_plain(positive=node("CLIPTextEncodeFlux", clip_l="fox, snow", t5xxl="A fox in the snow.", guidance=3.5))
    assert (generation.prompt, generation.prompts) == ("A fox in the snow.", ("A fox in the snow.", "fox, snow"))


@pytest.mark.parametrize("kind", ["ConditioningCombine", "ConditioningConcat", "ConditioningAverage", "SomebodysMix"])
def test_texts_that_were_combined_are_all_kept_and_none_is_the_prompt(kind: str) -> None:
    generation = read_plain(
        positive=node(kind, conditioning_1=link("area"), conditioning_2=link("two")),
        area=node("ConditioningSetArea", conditioning=link("one"), width=64, height=64, x=0, y=0, strength=1),
        one=node("CLIPTextEncode", text="morning"),
        two=node("CLIPTextEncode", text="evening"),
    )
    assert (generation.prompt, generation.prompts) == (None, ("morning", "evening"))


def test_one_text_combined_with_an_empty_one_or_itself_is_the_prompt() -> None:
    combined = node("ConditioningCombine", conditioning_1=link("one"), conditioning_2=link("two"))
    for other in ("", "morning ", "morning"):
        texts = {"one": node("CLIPTextEncode", text="morning"), "two": node("CLIPTextEncode", text=other)}
        generation = read_plain(positive=combined, **texts)
        assert (generation.prompt, generation.prompts) == ("morning", ())


def test_control_nets_and_films_pass_both_sides_on() -> None:
    both = {"positive": link("positive"), "negative": link("negative")}
    generation = read(
        {
            **plain(),
            "control": node("ControlNetApplyAdvanced", **both, control_net=link("net"), image=link("picture"), strength=1),
            "film": node(
                "WanImageToVideo", positive=link("control", 0), negative=link("control", 1), width=832, height=480, length=81
            ),
            "sampler": node(
                "KSampler", seed=1, steps=2, cfg=3, positive=link("film", 0), negative=link("film", 1), latent_image=link("film", 2)
            ),
        }
    )
    assert (generation.prompt, generation.negative_prompt, generation.width) == ("a cat", "a dog", 832)


def test_a_negative_that_was_zeroed_is_none() -> None:
    generation = read_plain(negative=node("ConditioningZeroOut", conditioning=link("positive")))
    assert (generation.prompt, generation.negative_prompt) == ("a cat", "")


def test_an_empty_text_is_said_to_be_empty_and_a_missing_one_is_unknown() -> None:
    assert read_plain(negative=node("CLIPTextEncode", text="")).negative_prompt == ""
    assert read_plain(negative=None).negative_prompt is None


@pytest.mark.parametrize(
    "source",
    [
        node("PrimitiveStringMultiline", value="a fox"),
        node("String Literal", string="a fox"),
        node("CR Prompt Text", prompt="a fox"),
        node("Text Multiline", text="a fox"),
        node("easy positive", positive="a fox"),
        node("ImpactWildcardProcessor", wildcard_text="a {fox|hen}", populated_text="a fox", mode="populate", seed=1),
        node("StringConcatenate", string_a="a ", string_b="fox", delimiter=""),
        node("JoinStrings", string1="a", string2="fox", delimiter=" "),
        node("Text Concatenate", delimiter=" ", clean_whitespace="true", text_a="a ", text_b="", text_c=" fox"),
        node("CR Text Concatenate", text1="a", text2="fox", separator=" "),
        node("JoinStringMulti", inputcount=2, string_1="a", string_2=link("fox"), delimiter=" "),
        node("StringFunction|pysssss", action="append", tidy_tags="no", text_a="a ", text_b="fox"),
        node("ShowText|pysssss", text=link("whole"), text_0="what was shown before"),
        node("easy showAnything", anything=link("whole"), text="what was shown before"),
        node("Reroute", **{"": link("whole")}),
        node("ImpactSwitch", select=2, sel_mode=False, input1=link("fox"), input2=link("whole")),
        node("CR Text Input Switch", Input=1, text1=link("whole"), text2=link("fox")),
        node("ComfySwitchNode", switch=True, on_false=link("fox"), on_true=link("whole")),
        node("Any Switch (rgthree)", any_02=link("whole"), any_03=link("fox")),
    ],
    ids=lambda source: source["class_type"],
)
def test_texts_come_from_other_nodes(source: Graph) -> None:
    nodes = {"fox": node("String", string="fox"), "whole": node("String", string="a fox")}
    assert prompt_of(link("source"), source=source, **nodes) == "a fox"


@pytest.mark.parametrize(
    "source",
    [
        node("TextGenerate", prompt="describe the picture", clip=link("model", 1), max_length=256),
        node("OllamaGenerate", text="write a prompt"),
        node("Florence2Run", text_input="", task="caption", max_new_tokens=1024),
        node("SomebodysWriter", prompt="write a prompt", temperature=0.7),
        node("StringReplace", string="a cat", find="cat", replace="fox"),
        node("easy wildcards", text="a __animal__", seed=1),
        node("StringConcatenate", string_a="a ", string_b=link("writer"), delimiter=""),
        node("ShowText|pysssss", text=link("writer"), text_0="a fox"),
        node("ImpactSwitch", select=link("writer"), input1=link("model"), input2=link("model")),
        node("Nothing"),
        node("StringFunction|pysssss", action="replace", tidy_tags="no", text_a="a cat", text_b="cat", text_c="fox"),
        node("StringFunction|pysssss", action="append", tidy_tags="yes", text_a="a  cat", text_b="fox"),
    ],
    ids=lambda source: source["class_type"],
)
def test_a_text_made_at_run_time_is_unknown_and_never_the_instruction(source: Graph) -> None:
    writer = node("LLMWriter", prompt="write a prompt", temperature=1)
    generation = read_plain(positive=node("CLIPTextEncode", text=link("source")), source=source, writer=writer)
    assert (generation.prompt, generation.prompts) == (None, ())


def test_a_known_text_beside_an_unknown_one_is_no_prompt() -> None:
    combined = node("ConditioningCombine", conditioning_1=link("one"), conditioning_2=link("two"))
    texts = {"one": node("CLIPTextEncode", text="morning"), "two": node("CLIPTextEncode", text=link("nowhere"))}
    generation = read_plain(positive=combined, **texts)
    assert (generation.prompt, generation.prompts) == (None, ("morning",))


def test_line_ends_and_blanks_are_kept() -> None:
    assert prompt_of(" a fox,\r\n\tred \n") == " a fox,\r\n\tred \n"


def test_clip_skip_is_counted_as_elsewhere() -> None:
    skipping = node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=link("model", 1))
    assert read_plain(positive=node("CLIPTextEncode", text="a cat", clip=link("skip")), skip=skipping).clip_skip == 2
    assert read_plain().clip_skip is None


def test_conditioning_that_says_nothing_of_its_text_makes_the_prompt_unknown() -> None:
    combined = node("ConditioningCombine", conditioning_1=link("one"), conditioning_2=link("glorp"))
    generation = read_plain(
        positive=combined, one=node("CLIPTextEncode", text="morning"), glorp=node("Glorp", image=link("latent"))
    )
    assert (generation.prompt, generation.prompts) == (None, ("morning",))


def test_an_encoder_that_makes_another_text_of_its_own_is_unknown() -> None:
    assert read_plain(positive=node("LLMEncode", text="write a prompt")).prompt is None


def test_beyond_a_chain_that_is_too_long_nothing_is_known() -> None:
    chain = {f"c{i}": node("Combine", conditioning_1=link("one"), conditioning_2=link(f"c{i + 1}")) for i in range(600)}
    generation = read_plain(positive=chain.pop("c0"), one=node("CLIPTextEncode", text="morning"), **chain)
    assert (generation.prompt, generation.prompts) == (None, ("morning",))
