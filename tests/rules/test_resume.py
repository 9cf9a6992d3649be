"""Which staged bytes are the beginning of which file."""

from __future__ import annotations

from msgspec.structs import replace

from forged.model.files import Entry, Stat
from forged.model.paths import source_path
from forged.rules import resume

STAT = Stat(3, 1_000, 7, 2_000)
ENTRY = Entry(source_path(b"a.png"), STAT)


def test_the_same_entry_finds_its_staged_beginning_again_and_another_does_not() -> None:
    others = [Stat(4, 1_000, 7, 2_000), Stat(3, 1_001, 7, 2_000), Stat(3, 1_000, 8, 2_000)]
    names = {resume.staging_name(Entry(ENTRY.path, stat)) for stat in [STAT, *others]}
    assert len(names) == 4
    assert resume.staging_name(replace(ENTRY)) in names


def test_a_transfer_goes_on_behind_what_is_staged() -> None:
    assert [resume.offset_bytes(ENTRY, staged_bytes) for staged_bytes in (0, 2, 3)] == [0, 2, 3]


def test_more_staged_bytes_than_the_file_has_are_not_its_beginning() -> None:
    assert resume.offset_bytes(ENTRY, 4) == 0
