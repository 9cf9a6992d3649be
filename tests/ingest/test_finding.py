"""What is looked for is found, and no text is a mistake."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.ingest.catalog import file, query
from forged.ingest.catalog.file import CatalogDamaged
from forged.ingest.catalog.query import Term, terms
from forged.ingest.catalog.reading import CatalogBusy, Finder, found
from forged.ingest.catalog.tables import Tables
from forged.model.errors import IngestError
from forged.model.finding import Search
from forged.model.media import Generation, MediaInfo, MediaKind, Sampling
from tests.ingest.contract import file_body, synced

PROMPTS = (
    "a red fox, best quality",
    "a fox that is not red; best Qualität",
    "a blue cat (masterpiece:1.2) <lora:add_detail:0.8>",
    "猫娘が海を見ている, 1girl",
    "NEAR OR AND NOT prompt: facets",
    "",
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("catalog") / "it's a #1?.db", [made(text, n) for n, text in enumerate(PROMPTS)])


def made(prompt: str, number: int) -> MediaInfo:
    passes = (Sampling("3", "1", model="base.safetensors"), Sampling("9", f"{number}000", model="Refiner_XL.safetensors"))
    generation = Generation("ComfyUI", prompt=prompt, seed="1", model="base.safetensors", model_hash="ABC123", samplings=passes)
    return MediaInfo(MediaKind.VIDEO if number % 2 else MediaKind.IMAGE, "png", generation=generation)


def filled(path: Path, infos: list[MediaInfo]) -> Path:
    with closing(file.opened(path, 1.0)) as connection, file.transaction(connection):
        for number, info in enumerate(infos):
            event = synced(number + 1)
            tables, body = Tables(connection), file_body(number + 1, media=info, landed_at_ns=event.at_ns + number * 10**9)
            tables.take(event, body)
    return path


def numbers(path: Path, search: Search) -> list[int]:
    return [one.size_bytes - 1 for one in found(path, search, 100)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", [5, 4, 3, 2, 1, 0]),
        ("fox", [1, 0]),
        ("RED fox", [1, 0]),
        ('"red fox"', [0]),
        ('"red fo"*', [0]),
        ('"red fox', [0]),
        ("fox -blue", [1, 0]),
        ('fox -"red fox"', [1]),
        ("-fox", [5, 4, 3, 2]),
        ("qual*", [1, 0]),
        ("q*", [1, 0]),
        ("qualitat", [1]),
        ("masterpiece:1.2", [2]),
        ("add_detail", [2]),
        ("猫", [3]),
        ("海を見", [3]),
        ("海見", []),
        ("NEAR OR AND NOT", [4]),
        ("prompt: facets", [4]),
        ("every", []),  # a word that the index has for itself
        ("-every", [5, 4, 3, 2, 1, 0]),
        ("* , -- \"\" ''", [5, 4, 3, 2, 1, 0]),
        ("fox unicorn", []),
    ],
)
def test_words(path: Path, asked: str, expected: list[int]) -> None:
    assert numbers(path, Search(asked)) == expected


def test_facts(path: Path) -> None:
    assert numbers(path, Search(model="refiner")) == [5, 4, 3, 2, 1, 0]
    assert numbers(path, Search("fox", model="BASE.")) == [1, 0]
    assert numbers(path, Search(model="abc1")) == [5, 4, 3, 2, 1, 0]
    assert numbers(path, Search(model="bc1")) == numbers(path, Search(model="nothing")) == []
    assert numbers(path, Search(seed="3000")) == [3]
    assert numbers(path, Search(seed=" ")) == numbers(path, Search(seed="9" * 1000)) == []
    assert numbers(path, Search(kind=MediaKind.VIDEO)) == [5, 3, 1]
    assert numbers(path, Search(kind=MediaKind.VIDEO, target="studio", query="fox")) == [1]
    assert numbers(path, Search(target="stud")) == []


def test_pages_follow_each_other(path: Path) -> None:
    seen, before = [], None
    while page := found(path, Search("a"), 2, before):
        seen += [one.size_bytes - 1 for one in page]
        before = page[-1].id
    assert seen == [2, 1, 0]


@given(st.text(st.sampled_from("ab\"*-^:(){}+., \n\x00'é猫\ud800\U0001f600") | st.characters(), max_size=60))
def test_no_text_is_a_mistake(path: Path, text: str) -> None:
    found(path, Search(text.encode("utf-8", "replace").decode()), 5)


@given(st.lists(st.builds(Term, st.text("ab猫 .", min_size=1).filter(lambda text: text.strip(" .")), st.booleans(), st.booleans())))
def test_what_is_written_is_what_is_understood(asked: list[Term]) -> None:
    written = " ".join(f'{"-" * one.without}"{one.text}"{"*" * one.prefix}' for one in asked)
    assert terms(written) == asked[: query.MOST_TERMS]


@given(st.lists(st.sampled_from(["fox", "red", "blue", "cat", "best"]), min_size=1), st.sets(st.sampled_from(["fox", "cat"])))
def test_all_words_have_to_be_there_and_none_of_the_unwanted(path: Path, wanted: list[str], unwanted: set[str]) -> None:
    def fits(prompt: str) -> bool:
        words = set(prompt.replace(",", " ").replace(";", " ").split())
        return set(wanted) <= words and not unwanted & words

    expected = [number for number in reversed(range(len(PROMPTS))) if fits(PROMPTS[number])]
    assert numbers(path, Search(" ".join([*wanted, *(f"-{word}" for word in unwanted)]))) == expected


async def test_where_nothing_has_come_home_nothing_is_found(tmp_path: Path) -> None:
    assert await Finder(lambda: tmp_path / "none.db").find(Search("x"), 5) == []
    (tmp_path / "empty.db").touch()
    assert await Finder(lambda: tmp_path / "empty.db").find(Search("x"), 5) == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty.db"]
    with pytest.raises(IngestError) as error:
        await Finder(lambda: None).find(Search("x"), 5)
    assert "enabled" in error.value.hint


def test_a_damaged_one_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"rubbish " * 1_000)
    with pytest.raises(CatalogDamaged):
        found(path, Search("x"), 5)


def test_a_search_that_takes_too_long_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.ingest.catalog.reading.STEPS", 1)
    with pytest.raises(CatalogBusy) as error:
        found(path, Search("fox"), 5, longest_s=0.0)
    assert error.value.hint


def test_who_reads_does_not_wait_for_who_writes(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("begin immediate")
        writing.execute("delete from files")
        assert numbers(path, Search("fox")) == [1, 0]
        writing.execute("rollback")
