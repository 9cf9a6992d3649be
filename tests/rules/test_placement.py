"""The layout: where a file lands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.paths import home_path, source_path
from forged.model.target import HomePolicy, NamesMode, TargetName
from forged.rules.names import path_to_home
from forged.rules.placement import Placement, check_layout

PORTABLE, EXACT = NamesMode.PORTABLE, NamesMode.EXACT
BOX = TargetName("box")
DEFAULT = HomePolicy.__dataclass_fields__["layout"].default
MAY_FIRST_NS = int(datetime(2024, 5, 1, 23, 59, tzinfo=UTC).timestamp()) * 10**9

parts = st.one_of(
    st.binary(min_size=1, max_size=255).filter(lambda raw: not set(b"/\0") & set(raw)),
    st.sampled_from([b"a", b".forged", b"{path}", b"%", b"x.png.xmp", b"con", b"..."]),
).filter(lambda raw: raw not in (b".", b".."))
paths = st.lists(parts, min_size=1, max_size=12).map(lambda some: source_path(b"/".join(some)))
layouts = st.sampled_from(
    [
        DEFAULT,
        "{name}",
        "{target}/{date:%Y/%m/%d}/{name}",
        "..{folder}/{path}",
        "{date:%Y}-{folder}-{name}",
        ".{folder}/x{path}",
        "{{}}/{path}",
        ".forged/{name}",
        "ü/{folder}{path}",
        "{name}/{target}-{name}",
        "{path}/{path}",
        "a" * 3_500 + "/{path}",
        "/".join(["{target}"] * 800) + "/{path}",
    ]
)


def utf8(folders: list[str]) -> list[str]:
    return [folder.encode("utf-8", "ignore").decode() for folder in folders]


@given(layouts, st.sampled_from(NamesMode), paths, st.lists(st.text(max_size=9), max_size=3), st.integers())
def test_every_file_has_a_place_below_the_destination(
    layout: str, mode: NamesMode, path: bytes, folders: list[str], mtime_ns: int
) -> None:
    assert check_layout(layout) is None
    home = Placement(BOX, layout, mode, utf8(folders)).place(source_path(path), mtime_ns)
    assert home_path(home) == home
    assert b".forged" not in home.lower().split(b"/")


@given(
    layouts, st.sampled_from(NamesMode), st.lists(paths, max_size=4), st.lists(parts, max_size=9), st.sampled_from(["", "a", "a/b"])
)
def test_files_that_follow_each_other_are_placed_as_if_each_came_alone(
    layout: str, mode: NamesMode, begun: list[bytes], names: list[bytes], folder: str
) -> None:
    siblings = [path.rpartition(b"/")[0] + b"/" + name for path in (*begun, b"a/b/x", b"a/x") for name in names]
    placement = Placement(BOX, layout, mode, [folder])
    for path in [source_path(path.lstrip(b"/")) for path in siblings]:
        filled = whole_layout(layout, path, folder)
        assert placement.place(path, 0) == path_to_home(filled, mode)


def whole_layout(layout: str, path: bytes, folder: str) -> bytes:
    """The layout filled in, as its words are documented."""
    held = folder and path.startswith(folder.encode() + b"/")
    first, slash, rest = (folder.encode(), b"/", path[len(folder) + 1 :]) if held else path.partition(b"/")
    values = {"target": BOX, "folder": text(first if slash else b""), "path": text(rest if slash else first)}
    filled = layout.format(**values, name=text(path.rpartition(b"/")[2]), date=datetime(1970, 1, 1, tzinfo=UTC))
    return filled.encode("utf-8", "surrogateescape")


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


@given(paths.filter(lambda path: b"xmp" not in path and b"forged" not in path and b"%" not in path and len(path) < 2000))
def test_the_default_layout_is_the_path_at_the_source(path: bytes) -> None:
    for folders in ((), ("a",), ("a/b", "a")):
        assert Placement(BOX, DEFAULT, EXACT, folders).place(source_path(path), 0) in (path, path.replace(b"~source", b"%7Esource"))


@pytest.mark.parametrize(
    ("layout", "folders", "path", "home"),
    [
        ("{folder}/{path}", (), b"x.png", b"x.png"),
        ("{folder}/{path}", (), b"out/day/x.png", b"out/day/x.png"),
        ("{target}/{path}", (), b"out/day/x.png", b"box/day/x.png"),
        ("{target}/{path}", ("out/day",), b"out/day/x.png", b"box/x.png"),
        ("{folder}-{target}/{path}", ("out", "out/day"), b"out/day/x.png", b"out/day-box/x.png"),
        ("{folder}-{target}/{path}", ("./out/",), b"out/day/x.png", b"out-box/day/x.png"),
        ("{folder}-{target}/{path}", ("ou",), b"out/day/x.png", b"out-box/day/x.png"),
        ("{date:%Y-%m-%d}/{name}", (), b"out/day/x.png", b"2024-05-01/x.png"),
        ("{date:%Y/%m}/{name}", (), b"out/day/x.png", b"2024/05/x.png"),
        ("{target}/{{{name}", (), b"x.png", b"box/{x.png"),
        ("{target}/{name}", (), b"{target}.png", b"box/{target}.png"),
        ("{target}:{name}", (), b"x.png", b"box%3Ax.png"),
    ],
)
def test_layout(layout: str, folders: tuple[str, ...], path: bytes, home: bytes) -> None:
    assert check_layout(layout) is None
    assert Placement(BOX, layout, PORTABLE, folders).place(source_path(path), MAY_FIRST_NS) == home


@pytest.mark.parametrize("mtime_ns", [-(2**63), 2**63, -1, 0])
def test_a_time_that_is_no_date_still_has_a_place(mtime_ns: int) -> None:
    assert Placement(BOX, "{date:%Y-%m-%d}/{name}", PORTABLE, ()).place(source_path(b"x"), mtime_ns).endswith(b"/x")


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ("{nam}/{path}", "{name}"),
        ("{}/{path}", "{target}"),
        ("{path", "brace"),
        ("{{path}", "brace"),
        ("{date}/{path}", "%Y-%m-%d"),
        ("{date:%c}/{path}", "%Y-%m-%d"),
        ("{date:day}/{path!r}", "{path}"),
        ("{name:>200000000}", "{name}"),
        ("{name.__class__}/{path}", "{name}"),
        ("/{path}", "below dest"),
        ("../{path}", ".."),
        ("a/./{path}", ".."),
        ("a\0b/{path}", "NUL"),
        ("", "{path}"),
        ("{target}", "{name}"),
        ("{path}/x", "{name}"),
    ],
)
def test_a_layout_that_cannot_work_is_refused_with_a_way_out(layout: str, says: str) -> None:
    assert says in (check_layout(layout) or "")
