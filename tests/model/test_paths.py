"""No path that leads out of a tree, or cannot exist, becomes a SourcePath or a HomePath."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from forged.model.errors import BadPath
from forged.model.paths import MAX_COMPONENT_BYTES, MAX_PATH_BYTES, below, home_path, source_path

LEADING_OUT = [b"..", b"../a", b"a/..", b"a/../b", b"a/../../b", b"/", b"/a", b"//a", b"a//b", b"a/", b".", b"./a", b"a/./b"]
IMPOSSIBLE = [b"", b"a\0b", b"x" * (MAX_COMPONENT_BYTES + 1), b"x/" * (MAX_PATH_BYTES // 2) + b"x"]


@pytest.mark.parametrize("make", [source_path, home_path])
@pytest.mark.parametrize("raw", LEADING_OUT + IMPOSSIBLE)
def test_what_leads_out_or_cannot_exist_is_refused(raw: bytes, make: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadPath):
        make(raw)


@pytest.mark.parametrize("make", [source_path, home_path])
@pytest.mark.parametrize("raw", [b"a", b"...", b"..a/b..", b"-rf", b"\xff\n|", b"x" * MAX_COMPONENT_BYTES, b" / "])
def test_what_is_merely_odd_is_kept_byte_for_byte(raw: bytes, make: Callable[[bytes], bytes]) -> None:
    assert make(raw) == raw


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0", b"x" * (MAX_COMPONENT_BYTES + 1)])
def test_only_a_name_goes_below_a_folder(name: bytes) -> None:
    with pytest.raises(BadPath):
        below(b"folder", name)
    assert below(b"folder", b"name") == b"folder/name"
    assert below(b"", b"name") == b"name"
