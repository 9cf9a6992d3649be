"""Promise 1 by the system calls themselves: fsync of the file, then its name, then fsync of its folder, then the answer."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from forged.destination.pouring import WRITEBACK_BYTES
from forged.kit import durable
from forged.kit.durable import NoReplace
from forged.model.paths import home_path
from forged.model.transfer import Landed
from tests.destination.places import landing, posix, pour
from tests.destination.test_posix import without


class Journal:
    """Notes, in order, which file or folder each fsync was for and which names were given: a shim on the calls."""

    def __init__(self, patch: pytest.MonkeyPatch, dest: Path) -> None:
        self.lines: list[tuple[str, str]] = []
        self._dest = dest
        fsync, rename, link, renameat2 = os.fsync, os.rename, os.link, durable._RENAMEAT2
        posix_fadvise = os.posix_fadvise

        def noted_fsync(fd: int) -> None:
            fsync(fd)
            self._note("fsync", fd)

        def noted_fadvise(fd: int, start: int, size: int, advice: int) -> None:
            posix_fadvise(fd, start, size, advice)
            self._note(f"begin writing {start} to {start + size}", fd)

        def noted_rename(name: bytes, new_name: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            rename(name, new_name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            self._note("name", dst_dir_fd, new_name)

        def noted_link(name: bytes, new_name: bytes, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool) -> None:
            link(name, new_name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)
            self._note("name", dst_dir_fd, new_name)

        def noted_renameat2(from_folder: int, name: bytes, to_folder: int, new_name: bytes, flags: int) -> int:
            assert renameat2 is not None
            answer = renameat2(from_folder, name, to_folder, new_name, flags)
            if answer == 0:
                self._note("name", to_folder, new_name)
            return answer

        patch.setattr(os, "fsync", noted_fsync)
        patch.setattr(os, "posix_fadvise", noted_fadvise)
        patch.setattr(os, "rename", noted_rename)
        if os.link.__name__ == "link":
            patch.setattr(os, "link", noted_link)
        if renameat2 is not None:
            patch.setattr(durable, "_RENAMEAT2", noted_renameat2)

    def _note(self, what: str, fd: int, name: bytes = b"") -> None:
        path = os.path.join(os.readlink(f"/proc/self/fd/{fd}"), os.fsdecode(name)).rstrip("/")
        self.lines.append((what, os.path.relpath(path, self._dest)))

    def places(self, *lines: tuple[str, str]) -> list[int]:
        """Where each of these first happened."""
        return [self.lines.index(line) for line in lines]


def _is_ascending(places: Sequence[int]) -> bool:
    return sorted(set(places)) == list(places)


@pytest.mark.parametrize("level", list(NoReplace), ids=lambda level: level.value)
async def test_a_file_is_on_disk_before_its_name_and_the_name_before_the_answer(
    dest: Path, monkeypatch: pytest.MonkeyPatch, level: NoReplace
) -> None:
    without(monkeypatch, level)
    home = posix(dest)
    await home.ready(None)
    receipts = await pour(home, (b"2024/x/a.png", b"pixels"), (b"2024/x/b.png", b"more"), (b"2024/y/c.png", b"most"))
    journal = Journal(monkeypatch, dest)
    answers = await home.land([landing(receipt) for receipt in receipts])
    seen = list(journal.lines)
    assert all(isinstance(answer, Landed) for answer in answers)
    for receipt in receipts:
        part, name = f".forged/staging/box/{receipt.staged.staging}.part", os.fsdecode(receipt.entry.path)
        assert _is_ascending(journal.places(("fsync", part), ("name", name), ("fsync", os.path.dirname(name))))
    assert _is_ascending(journal.places(("name", "2024/y/c.png"), ("fsync", "."), ("fsync", "2024"), ("fsync", "2024/x")))
    assert [line for line in seen if line == ("fsync", "2024/x")] == [("fsync", "2024/x")]  # once for the batch
    await home.aclose()


async def test_each_byte_is_on_its_way_to_the_disk_once_before_anyone_waits_for_it(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, large = posix(dest), bytes(2 * WRITEBACK_BYTES + 5)
    await home.ready(None)
    journal = Journal(monkeypatch, dest)
    receipts = await pour(home, (b"a.png", b"pixels"), (b"b.png", b""), (b"c.mp4", large))
    begun = [(what, path[-37:]) for what, path in journal.lines if what.startswith("begin")]
    a, _, c = (f"{receipt.staged.staging}.part" for receipt in receipts)
    edges = [0, WRITEBACK_BYTES, 2 * WRITEBACK_BYTES, len(large)]
    assert begun == [("begin writing 0 to 6", a), *((f"begin writing {x} to {y}", c) for x, y in itertools.pairwise(edges))]
    journal.lines.clear()
    await home.land([landing(receipt) for receipt in receipts])
    assert [what for what, _ in journal.lines if what.startswith("begin")] == []
    await home.aclose()


async def test_folders_that_alternate_in_a_batch_are_made_durable_once_each(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = posix(dest)
    await home.ready(None)
    receipts = await pour(home, *[(b"%d/%d.png" % (n % 3, n), b"%d" % n) for n in range(30)])
    journal = Journal(monkeypatch, dest)
    await home.land([landing(receipt) for receipt in receipts])
    assert [path for what, path in journal.lines if what == "name"] == [f"{k}/{n}.png" for k in range(3) for n in range(k, 30, 3)]
    assert [path for what, path in journal.lines[-4:] if what == "fsync"] == [".", "0", "1", "2"]
    assert len([what for what, _ in journal.lines if what == "fsync"]) == 30 + 4
    await home.aclose()


async def test_an_adopted_file_is_made_durable_before_it_is_answered(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = posix(dest)
    await home.ready(None)
    (dest / "x").mkdir()
    (dest / "x/a.png").write_bytes(b"pixels")
    (receipt,) = await pour(home, (b"x/a.png", b"pixels"))
    journal = Journal(monkeypatch, dest)
    await home.land([landing(receipt)])
    assert _is_ascending(journal.places(("fsync", "x/a.png"), ("fsync", "x")))
    journal.lines.clear()
    await home.confirm([home_path(b"x/a.png")])
    assert journal.lines == [("fsync", "x/a.png"), ("fsync", "x")]
    await home.aclose()


async def test_the_marker_is_durable_before_the_destination_is_ready(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(monkeypatch, dest)
    home = posix(dest)
    await home.ready(None)
    assert _is_ascending(journal.places(("name", ".forged/id"), ("fsync", ".forged"), ("fsync", ".")))
    assert ("fsync", "..") in journal.lines
    await home.aclose()
