"""Extents of shared memory never overlap, hold what was put there, and come back whole."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.kit.arena import Arena, Extent, opened

SIZE_BYTES = 1 << 16


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena(SIZE_BYTES)
    yield made
    made.close()


def test_the_other_side_reads_what_was_put_there(arena: Arena) -> None:
    seen = opened(os.dup(arena.fd))
    extent = arena.put([b"one", memoryview(b"two"), b""], 6)
    assert extent is not None
    start, size_bytes = extent
    assert bytes(seen[start : start + size_bytes]) == b"onetwo"


def test_where_there_is_no_room_there_is_none_and_all_stays_as_it_is(arena: Arena) -> None:
    first = arena.put([b"x" * (SIZE_BYTES - 1)], SIZE_BYTES - 1)
    assert first is not None
    assert arena.put([b"ab"], 2) is None
    assert arena.put([b"a"], 1) == (SIZE_BYTES - 1, 1)
    arena.give(first)
    assert arena.put([b"y" * SIZE_BYTES], SIZE_BYTES) is None


def test_the_lowest_room_is_taken_first(arena: Arena) -> None:
    low, high = arena.put([b"a" * 100], 100), arena.put([b"b" * 100], 100)
    assert low == (0, 100) and high == (100, 100)
    arena.give((0, 100))
    assert arena.put([b"c" * 40], 40) == (0, 40)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, SIZE_BYTES // 3)), max_size=60))
def test_extents_never_overlap_and_come_back_whole(steps: list[tuple[bool, int]]) -> None:
    arena = Arena(SIZE_BYTES)
    seen, held = opened(os.dup(arena.fd)), dict[Extent, bytes]()
    for number, (put, size) in enumerate(steps):
        if put:
            data = bytes([number % 251 + 1]) * size
            extent = arena.put([data], size)
            if extent is not None and size:
                held[extent] = data
        elif held:
            extent = list(held)[size % len(held)]
            assert bytes(seen[extent[0] : sum(extent)]) == held.pop(extent)
            arena.give(extent)
    for extent, data in held.items():
        assert bytes(seen[extent[0] : sum(extent)]) == data
        arena.give(extent)
    assert arena.free_bytes == SIZE_BYTES
    assert arena.put([b"z" * SIZE_BYTES], SIZE_BYTES) == (0, SIZE_BYTES)
    arena.close()
