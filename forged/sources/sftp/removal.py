"""Removing files and empty folders over SFTP: looked at once more, then removed, and nothing holds a writer off in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby

from forged.model.files import ProblemKind
from forged.model.paths import SourcePath
from forged.model.removal import KeptBecause, Removable, Removed
from forged.sources.sftp.lane import SftpLane
from forged.sources.sftp.look import Look, Unfit, problem_of
from forged.sources.sftp.wire import Refused

AT_ONCE = 64
"""Files on their way to be removed. Each is removed as soon as its own look is back: a round trip lies between, and no more."""

KEPT = {ProblemKind.CHANGED: KeptBecause.CHANGED, ProblemKind.LINK: KeptBecause.CHANGED, ProblemKind.VANISHED: KeptBecause.VANISHED}
"""Why a file was kept, where its trouble has a word of its own."""


async def removed(lane: SftpLane, batch: Sequence[Removable]) -> list[Removed]:
    """As the contract's `remove_unguarded` says."""
    answers: list[Removed] = []
    for start in range(0, len(batch), AT_ONCE):
        answers += await asyncio.gather(*(_remove(lane, removable) for removable in batch[start : start + AT_ONCE]))
    return answers


async def _remove(lane: SftpLane, removable: Removable) -> Removed:
    path = removable.row.path
    try:
        if not (await Look(lane, path).file()).same_file(removable.expected):
            raise Unfit(ProblemKind.CHANGED, "it is not what was brought home")
        await lane.remove(lane.root.at(path))
    except (Refused, Unfit) as error:
        problem = problem_of(path, error)
        return Removed(path, KEPT.get(problem.kind, KeptBecause.FAILED), problem.message)
    return Removed(path)


async def folders_removed(lane: SftpLane, folders: Sequence[SourcePath]) -> list[SourcePath]:
    """Those of `folders` that were empty, deepest first. Folders of one depth do not contain each other."""
    gone: list[SourcePath] = []
    deepest_first = sorted(set(folders), key=_depth, reverse=True)
    for _, level in groupby(deepest_first, key=_depth):
        each = list(level)
        for start in range(0, len(each), AT_ONCE):
            some = each[start : start + AT_ONCE]
            went = await asyncio.gather(*(_remove_folder(lane, folder) for folder in some))
            gone += [folder for folder, is_gone in zip(some, went, strict=True) if is_gone]
    return gone


def _depth(folder: SourcePath) -> int:
    return folder.count(b"/")


async def _remove_folder(lane: SftpLane, folder: SourcePath) -> bool:
    """Servers remove no folder that is not empty (RMDIR of section 6.6 is rmdir(2))."""
    try:
        await Look(lane, folder).folder()
        await lane.rmdir(lane.root.at(folder))
    except (Refused, Unfit):
        return False
    return True
