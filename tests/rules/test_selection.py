"""Which files are wanted: gitignore's patterns over whatever bytes a source calls a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from forged.model.errors import BadPath
from forged.model.files import Entry, Stat
from forged.model.paths import source_path
from forged.model.target import Selection
from forged.rules.selection import Selector, check_patterns, folders_to_list


def wants(path: bytes, size_bytes: int = 1, **selection: object) -> bool:
    return Selector(Selection(**selection)).wants(Entry(source_path(path), Stat(size_bytes, 0)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"out/x.png", True),
        (b"out/x.png.tmp", False),
        (b"out/half.tmp/x.png", False),
        (b"out/thumbnails/x.webp", False),
        (b"thumbnails", True),
        (b"logs/x.png", False),
        (b"out/logs/x.png", True),
        (b"out/keep.tmp", True),
        (b"a/deep/down/y.json", False),
        (b"\xff\xfe/x.tmp", False),
        (b"two\nlines/x.tmp", False),
        (b"-rf ~ | $(x) '.png", True),
    ],
)
def test_exclude_speaks_gitignore(path: bytes, wanted: bool) -> None:
    assert wants(path, exclude=("*.tmp", "thumbnails/", "/logs", "!keep.tmp", "a/**/*.json")) is wanted


words = st.sampled_from(["a", "b", "*", "**", "?", "[ab]", "[!a]", "a*", "*.tmp", "\\!", "\\(?P<ps_d>", "a.b"])
patterns = st.builds(
    lambda no, top, parts, folder: no + top + "/".join(parts) + folder,
    st.sampled_from(["", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(words, min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
)
paths = st.lists(st.sampled_from(["a", "b", "ab", "x.tmp", "a.b", "!", "("]), min_size=1, max_size=4).map("/".join)


@given(st.lists(patterns, min_size=1, max_size=4), paths)
def test_all_patterns_at_once_say_the_same_as_each_in_turn(lines: list[str], path: str) -> None:
    decided = GitIgnoreSpec.from_lines(lines, backend="simple").match_file(path)
    assert wants(path.encode(), exclude=tuple(lines)) is not decided
    assert wants(path.encode(), include=tuple(lines)) is decided


odd_names = st.sampled_from(["a", "b", "x.tmp", "a\nx.tmp", "x.tmp\n", "\n", "\udcff.tmp", "(", "a.b"])
odd_paths = st.lists(odd_names, min_size=1, max_size=3)


@given(
    st.lists(patterns, max_size=3),
    st.lists(patterns, max_size=2),
    st.lists(odd_paths.map("/".join), max_size=6),
    st.sampled_from([None, 5]),
)
def test_many_are_judged_at_once_as_each_by_itself(
    exclude: list[str], include: list[str], names: list[str], max_size_bytes: int | None
) -> None:
    selector = Selector(Selection(exclude=tuple(exclude), include=tuple(include), max_size_bytes=max_size_bytes))
    entries = [Entry(source_path(name.encode("utf-8", "surrogateescape")), Stat(3 * at, 0)) for at, name in enumerate(names)]
    assert selector.wants_each(entries) == [selector.wants(entry) for entry in entries]


def test_a_newline_in_a_name_does_not_get_a_file_past_exclude_or_into_include() -> None:
    assert not wants(b"a\nb/c\nd.tmp", exclude=("*.tmp",))
    assert not wants(b"a.png\n", include=("*.png",))
    assert wants(b"a\nb/c.png", include=("*.png",))


def test_include_narrows_and_exclude_narrows_further() -> None:
    both = {"include": ("*.png", "*.mp4"), "exclude": ("grids/",)}
    assert wants(b"a/x.png", **both)
    assert not wants(b"a/x.txt", **both)
    assert not wants(b"grids/x.png", **both)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [(b"out/x", True), (b"out/a/x", True), (b"output/x", False), (b"out", False), (b"a/b/x", True), (b"a/x", False)],
)
def test_folders_are_folders_not_patterns(path: bytes, wanted: bool) -> None:
    assert wants(path, folders=("./out/", "a/b")) is wanted


def test_the_source_path_itself_as_a_folder_is_everything() -> None:
    assert wants(b"x", folders=(".",))


@pytest.mark.parametrize(
    ("asked", "configured", "listed"),
    [
        ((), (), []),
        ((), ("one", "two"), [b"one", b"two"]),
        (("/two/",), ("one",), [b"two"]),
        ((".",), ("one",), []),
        (("two", "./"), (), []),
    ],
)
def test_the_folders_asked_for_are_listed_else_the_configured_ones(
    asked: tuple[str, ...], configured: tuple[str, ...], listed: list[bytes]
) -> None:
    assert folders_to_list(asked, Selection(folders=configured)) == listed


def test_a_folder_that_leads_out_of_the_source_is_refused() -> None:
    with pytest.raises(BadPath):
        folders_to_list(["../up"], Selection())


def test_a_folder_that_is_not_utf_8_can_be_named_as_python_shows_it() -> None:
    assert wants(b"\xff/x", folders=("\udcff",))


def test_a_file_over_max_size_is_selected_but_not_wanted() -> None:
    selector = Selector(Selection(max_size_bytes=10))
    entry = Entry(source_path(b"x"), Stat(11, 0))
    assert (selector.selects(entry.path), selector.is_too_large(entry), selector.wants(entry)) == (True, True, False)
    assert wants(b"x", 10, max_size_bytes=10)
    assert not wants(b"x", 0, max_size_bytes=10, exclude=("x",))


def test_mutable_files_are_those_the_owner_named() -> None:
    selector = Selector(Selection(mutable=("log.html", "/log.csv")))
    assert [selector.is_mutable(source_path(p)) for p in (b"a/log.html", b"log.csv", b"a/log.csv")] == [True, True, False]
    assert not Selector(Selection()).is_mutable(source_path(b"log.html"))


@pytest.mark.parametrize("pattern", ["!", "\\", "a\\", "[z-a]"])
def test_a_pattern_that_means_nothing_is_named_before_it_is_used(pattern: str) -> None:
    assert repr(pattern) in (check_patterns(["*.png", pattern]) or "")
    with pytest.raises(ValueError, match="pattern"):
        Selector(Selection(exclude=(pattern,)))


def test_comments_and_empty_patterns_are_no_mistake() -> None:
    assert check_patterns(["", "# a comment", "*.png", "/"]) is None


@given(st.binary(min_size=1, max_size=300))
def test_any_name_gets_an_answer(raw: bytes) -> None:
    path = source_path(b"/".join(part for part in raw.replace(b"\0", b"").split(b"/") if part.strip(b"."))[:255] or b"x")
    assert not wants(path, include=("*",), exclude=("**",))
    assert wants(path, include=("*",), exclude=("*.never/",)) or b".never" in path
