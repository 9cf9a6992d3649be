"""Media info becomes an answer that fits, whatever a hostile file says."""

from __future__ import annotations

import json

from forged.daemon import media_answers
from forged.model.media import Generation, Likeness, Lora, MediaInfo, MediaKind, RawBlock, Sampling


def info(generation: Generation | None = None, *raw: RawBlock) -> MediaInfo:
    return MediaInfo(MediaKind.IMAGE, "png", 64, 48, generation=generation, raw=raw, likeness=Likeness(bytes(8), bytes(32)))


def test_every_field_is_told() -> None:
    made = Generation(
        "ComfyUI",
        prompt="a cat",
        seed="18446744073709551615",
        cfg=4.5,
        loras=(Lora("detail", 0.8),),
        samplings=(Sampling("3", seed="1", steps=20),),
        settings=(("Hires", "2"),),
        origins={"prompt": "png/tEXt/prompt"},
    )
    told = media_answers.media(info(made, RawBlock("png/tEXt/prompt", "{}")), raw=False)
    assert json.loads(json.dumps(told)) == told
    assert told["raw"] == [{"place": "png/tEXt/prompt", "chars": 2}]
    assert (told["dhash"], told["pixels_sha256"]) == ("00" * 8, "00" * 32)
    assert told["generation"] is not None
    assert told["generation"]["seed"] == "18446744073709551615"
    assert told["generation"]["loras"] == [{"name": "detail", "weight": 0.8, "hash": None}]
    assert told["generation"]["samplings"][0]["steps"] == 20
    assert set(told["generation"]) == set(Generation.__struct_fields__)


def test_raw_texts_are_whole_until_the_answer_is_full() -> None:
    small, large = RawBlock("a", '"ä"' * 10), RawBlock("b", "\x01ü" * 100_000)
    told = media_answers.texts([small, large, small], 100_000)
    assert told[0] == {"place": "a", "chars": 30, "text": '"ä"' * 10}
    assert told[1]["chars"] == 200_000
    assert large.text.startswith(told[1]["text"].removesuffix(" …"))
    assert len(told[1]["text"]) > 1_000
    assert len(json.dumps(told, ensure_ascii=False).encode()) < 101_000


def test_a_prompt_of_64_kib_comes_through_whole() -> None:
    prompt = "(a cat:1.2), \n" * 5_000
    told = media_answers.generation(Generation("x", prompt=prompt))
    assert told["prompt"] == prompt


def test_each_text_of_a_hostile_file_is_bounded() -> None:
    evil = "\x01" * 500_000
    words = ("version", "seed", "sampler", "scheduler", "model", "model_hash", "vae", "graph", "workflow")
    made = Generation(
        evil,
        **dict.fromkeys(words, evil),  # type: ignore[arg-type]  # all of them texts
        prompt=evil,
        negative_prompt=evil,
        prompts=(evil,),
        settings=((evil, evil),) * 9,
        loras=(Lora(evil, 1.0, evil),),
        samplings=(Sampling(evil, evil, 1, 1.0, evil, evil, 1.0, evil),),
        origins=dict.fromkeys(words, evil),
    )
    found = MediaInfo(MediaKind.OTHER, evil, generation=made, raw=(RawBlock(evil, evil),) * 1_000, problems=(evil,) * 9)
    for raw in (False, True):
        told = media_answers.media(found, raw=raw)
        assert len(json.dumps(told, ensure_ascii=False).encode()) < 820_000
        assert told["generation"] is not None
        assert (told["generation"]["model"] or "").startswith("\x01") and told["generation"]["loras"]


def test_a_hostile_file_fits_into_an_answer() -> None:
    many, evil = 10_000, "\x01" * 500_000
    made = Generation(
        "x",
        prompt=evil,
        negative_prompt=evil,
        settings=tuple((f"k{n}", evil) for n in range(10)) + (("k", "v"),) * many,
        prompts=(evil,) + ("t",) * many,
        loras=(Lora("l"),) * many,
        samplings=(Sampling("1"),) * many,
    )
    found = MediaInfo(MediaKind.OTHER, "", generation=made, raw=(RawBlock("r", evil),) * 20, problems=("p" * 100,) * many)
    for raw in (False, True):
        assert len(json.dumps(media_answers.media(found, raw=raw), ensure_ascii=False).encode()) < 1_000_000
