"""What makes a receipt."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from forged.model.files import Entry, Problem, ProblemKind, Stat
from forged.model.paths import source_path
from forged.model.transfer import Fetched, Receipt, Request, Staged, Wholeness
from forged.rules import proof

STAT = Stat(3, 1_000, 7, 2_000)
ENTRY = Entry(source_path(b"a.png"), STAT)
STAGED = Staged("s", 3, b"h" * 32, Wholeness.WHOLE)
GOOD = Fetched(Request(ENTRY, "s"), STAT, STAT, b"h" * 32, STAGED)


def verdict(fetched: Fetched, *, unfinished_is_fine: bool = False) -> ProblemKind | Receipt:
    answer = proof.receipt(fetched, unfinished_is_fine=unfinished_is_fine)
    return answer.kind if isinstance(answer, Problem) else answer


def test_equal_bytes_of_an_unchanged_file_make_a_receipt() -> None:
    assert verdict(GOOD) == Receipt(ENTRY, STAGED)


def test_a_source_that_cannot_hash_is_believed_for_size_and_look() -> None:
    assert verdict(replace(GOOD, source_sha256=None)) == Receipt(ENTRY, STAGED)


@pytest.mark.parametrize(
    "moved", [Stat(4, 1_000, 7, 2_000), Stat(3, 1_001, 7, 2_000), Stat(3, 1_000, 8, 2_000), Stat(3, 1_000, 7, 2_001)]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_that_moved_while_it_was_read_makes_none(moved: Stat, when: str) -> None:
    looks = {"before": STAT, "after": STAT, when: moved}
    assert verdict(Fetched(GOOD.request, looks["before"], looks["after"], GOOD.source_sha256, STAGED)) is ProblemKind.CHANGED


def test_missing_bytes_make_none() -> None:
    assert verdict(replace(GOOD, staged=replace(STAGED, size_bytes=2))) is ProblemKind.CHANGED


def test_other_bytes_make_none() -> None:
    assert verdict(replace(GOOD, source_sha256=b"x" * 32)) is ProblemKind.MISMATCH


def test_an_unfinished_file_makes_one_only_when_its_writer_has_given_up() -> None:
    cut = replace(GOOD, staged=replace(STAGED, wholeness=Wholeness.BROKEN))
    assert verdict(cut) is ProblemKind.BROKEN
    assert verdict(cut, unfinished_is_fine=True) == Receipt(ENTRY, cut.staged, incomplete=True)
