"""Whose turn it is: files of any sizes, of several fetches, taken slice by slice. No agent, no sink, no time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from forged.model.files import Entry, Problem, ProblemKind, Stat
from forged.model.paths import source_path
from forged.model.transfer import Request
from forged.sources.agent.fetching import GRANT_BYTES, Fetch
from forged.sources.agent.slices import SLICE_BYTES, Slice
from forged.sources.agent.waiting import GROUP_FILES, WaitingLine, work_bytes
from tests.support.sinks import MIB, MemorySink

SMALL = 8192
LARGE = 20 * SLICE_BYTES


def fetch_of(*sizes: int, offset_bytes: int = 0) -> Fetch:
    entries = [Entry(source_path(b"%d" % number), Stat(size, 1)) for number, size in enumerate(sizes)]
    return Fetch([Request(e, e.path.decode(), min(offset_bytes, e.stat.size_bytes)) for e in entries], MemorySink())


def taken(line: WaitingLine) -> list[list[Slice]]:
    units = []
    while unit := line.take():
        units.append(unit)
    return units


def line_of(*fetches: Fetch) -> WaitingLine:
    line = WaitingLine()
    for fetch in fetches:
        line.join(fetch)
    return line


@given(st.lists(st.integers(0, 3 * SLICE_BYTES), max_size=200), st.integers(0, SLICE_BYTES))
def test_every_byte_of_every_file_is_asked_for_once_in_bounded_units(sizes: list[int], offset_bytes: int) -> None:
    fetch = fetch_of(*sizes, offset_bytes=offset_bytes)
    units = taken(line_of(fetch))
    ranges: dict[str, list[tuple[int, int]]] = {}
    for unit in units:
        assert len(unit) <= GROUP_FILES
        assert len(unit) == 1 or sum(part.size_bytes for part in unit) <= GRANT_BYTES
        for part in unit:
            assert part.size_bytes <= SLICE_BYTES
            ranges.setdefault(part.file.request.staging, []).append((part.begin, part.end))
    assert len(ranges) == len(sizes)
    for file in fetch.files:
        parts = ranges[file.request.staging]
        assert (parts[0][0], parts[-1][1]) == (file.request.offset_bytes, file.request.entry.stat.size_bytes)
        assert all(one[1] == next_one[0] for one, next_one in pairwise(parts))


def shares(units: Sequence[Sequence[Slice]], fetches: Sequence[Fetch]) -> list[int]:
    """How much work of each fetch was taken."""
    return [sum(work_bytes(unit) for unit in units if unit[0].file.fetch is fetch) for fetch in fetches]


def test_a_large_file_takes_turns_with_small_ones_by_work_not_by_files() -> None:
    line = line_of(fetch_of(LARGE, *[SMALL] * 2000))
    units = taken(line)
    last_small = max(at for at, unit in enumerate(units) if unit[0].size_bytes == SMALL)
    slices_before = sum(unit[0].size_bytes == SLICE_BYTES for unit in units[:last_small])
    assert 2000 * 2 * SMALL // SLICE_BYTES <= slices_before <= 2000 * 2 * SMALL // SLICE_BYTES + 1
    assert len(units[0]) > 1, "small ones first: they are done in no time"


def test_what_is_noticed_while_a_round_brings_much_does_not_wait_behind_it() -> None:
    round_, noticed = fetch_of(LARGE, *[SMALL] * 4000), fetch_of(SMALL)
    line = line_of(round_)
    before = [line.take() for _ in range(50)]
    assert len(before) == 50
    line.join(noticed)
    soon = [line.take() for _ in range(3)]
    assert any(unit[0].file.fetch is noticed for unit in soon)


def test_fetches_share_equally() -> None:
    fetches = [fetch_of(*[5 * MIB] * 100), fetch_of(*[SMALL] * 40_000), fetch_of(LARGE, LARGE)]
    line = line_of(*fetches)
    units = [line.take() for _ in range(600)]
    work = shares(units, fetches)
    assert max(work) - min(work) <= 2 * SLICE_BYTES


def test_a_file_that_has_met_its_end_and_a_fetch_that_left_are_not_asked_for() -> None:
    gone, other = fetch_of(LARGE, LARGE), fetch_of(SMALL, LARGE)
    line = line_of(gone, other)
    (first,) = line.take()
    assert first.file is gone.files[0]
    gone.files[0].trouble(Problem(b"0", ProblemKind.CHANGED, ""))
    line.leave(other)
    rest = [part for unit in taken(line) for part in unit]
    assert rest and all(part.file is gone.files[1] for part in rest)
    assert line.work_bytes == 0


def test_what_waits_is_known() -> None:
    fetch = fetch_of(LARGE, SMALL, 0)
    line = line_of(fetch)
    assert line.work_bytes > LARGE + SMALL
    taken(line)
    assert line.work_bytes == 0
    assert line.take() == []
