"""Which of the places where programs may be are there, and what a target for each would have to say. Pure: no I/O.

The rule for folders of several names is the one that a running target keeps (`rules.places`): here the root is the top of the disk.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from forged.config.programs import PROGRAMS, Program, apps_below, known_apps
from forged.model.files import Problem
from forged.model.paths import source_path
from forged.model.places import Place
from forged.model.target import SourceAddress, SourceKind, TargetType
from forged.rules.places import Asked, arrange


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where outputs may be: `path` for the target's source, and the trees below it, each relative and absolute."""

    type: TargetType
    path: str
    trees: tuple[tuple[str, str], ...]
    include: tuple[str, ...] = ()
    fallback: bool = False
    """Only of interest where nothing else is found."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A place that is there. `trees` are the folders that a target has: none = all below `path`."""

    type: TargetType
    path: str
    trees: tuple[str, ...]
    folders_to_name: tuple[str, ...]
    """Of those, what the target has to say; none where its type knows them."""
    include: tuple[str, ...]


def candidates(address: SourceAddress) -> tuple[Candidate, ...]:
    """Where to look: in the usual places; or, where the address has a path, there.

    It may be a program's folder, the outputs of one, a folder that programs are in, or just a folder of files.
    """
    if not address.path:
        user = address.user if address.kind in (SourceKind.SSH, SourceKind.SFTP) else None
        return tuple(_candidate(app.program, app.path) for app in known_apps(user))
    path = address.path
    inside = [_candidate(app.program, app.path) for app in apps_below(path)]
    itself = [_candidate(program, path) for program in PROGRAMS if path.rpartition("/")[2] in program.apps]
    plain = Candidate(*_kind_of(path), fallback=True)
    return (*itself, *inside, plain)


def _candidate(program: Program, app: str) -> Candidate:
    if len(program.trees) > 1:
        return Candidate(program.type, app, tuple((tree, f"{app}/{tree}") for tree in program.trees), program.include)
    path = f"{app}/{program.trees[0]}"
    return Candidate(program.type, path, (("", path),), program.include)


def _kind_of(path: str) -> tuple[TargetType, str, tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The program that writes into a folder of this name, and all of it."""
    for program in PROGRAMS:
        if any(path.endswith(f"/{app}/{tree}") for app in program.apps for tree in program.trees):
            return program.type, path, (("", path),), program.include
    return TargetType.GENERIC, path, (("", path),), ()


def choose(looked_at: Sequence[Candidate], places: Sequence[Place | Problem]) -> tuple[tuple[Chosen, ...], tuple[Problem, ...]]:
    """What is there, each place once; and what is there and left out. `places` answer all trees of all candidates, in order."""
    answers = iter(places)
    there = [(candidate, [next(answers) for _ in candidate.trees]) for candidate in looked_at]
    if any(isinstance(place, Place) for candidate, found in there if not candidate.fallback for place in found):
        there = [(candidate, found) for candidate, found in there if not candidate.fallback]
    asked = {path: place for candidate, found in there for (_, path), place in zip(candidate.trees, found, strict=True)}
    arrangement = arrange(b"/", list(map(_asked, asked)), list(asked.values()), confined=False)
    mounted = {b"/" + mount.folder for mount in arrangement.mounts}
    left_out = tuple(Problem(b"/" + one.path, one.kind, one.message) for one in arrangement.problems)
    chosen = [_chosen(candidate, mounted, {one.path for one in left_out}) for candidate, _ in there]
    return tuple(one for one in chosen if one is not None), left_out


def _asked(path: str) -> Asked:
    raw = os.fsencode(path)
    return Asked(source_path(raw.removeprefix(b"/")), raw)


def _chosen(candidate: Candidate, mounted: set[bytes], left_out: set[bytes]) -> Chosen | None:
    """The trees that are there decide whether; those that are not there yet are wanted as well."""
    if not any(os.fsencode(path) in mounted for _, path in candidate.trees):
        return None
    trees = tuple(tree for tree, path in candidate.trees if tree and os.fsencode(path) not in left_out)
    all_of_them = len(trees) == len(candidate.trees)
    return Chosen(candidate.type, candidate.path, trees, () if all_of_them else trees, candidate.include)
