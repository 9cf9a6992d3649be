"""Which of a target's folders are one and the same, under which name each comes home, and where a link may lead.

A folder of `folders` may be a link, or lie behind one: images for rented boxes move a program's tree and link to it. Such a folder
is found like the root itself is: resolved when the source opens, by the owner's word that this folder is wanted. Three things
must hold then. It comes home once, however many names lead to it. Its name, and with it the manifest's rows, does not change
because one of the names came or went: a name that the manifest knows files under keeps them. And a box cannot make forged read,
or clean up, where nobody expects it to: a link that leads out of the places where programs keep their outputs is refused, and said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from forged.model.files import Problem, ProblemKind
from forged.model.paths import SourcePath, shown
from forged.model.places import Place

USUAL = (b"/workspace", b"/opt", b"/root", b"/home/*", b"/app", b"/runpod-volume", b"/storage", b"/data", b"/mnt", b"/media")
"""Below these a link of a rented box may lead: where images, volumes and logins keep programs and their outputs. Not to one of
them itself, and not into a hidden folder: `/root/.ssh` is nobody's output."""

PROGRAMS = (b"/ComfyUI", b"/comfyui", b"/stable-diffusion-webui", b"/stable-diffusion-webui-forge", b"/invokeai", b"/SwarmUI")
"""The same, for images that unpack a program at the top of the disk (RunPod's official ones do: /ComfyUI)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One folder that a target wants. `folder` is its name: below it the files are known, here and at home."""

    folder: SourcePath
    path: bytes
    """Absolute, as asked for: below the root, or elsewhere at the source."""
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder that comes home, and where it really is."""

    folder: SourcePath
    real: bytes


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What came of the folders asked for. Mounts are in the order of their files' paths; no place is in two of them."""

    mounts: tuple[Mount, ...]
    missing: tuple[Problem, ...] = ()
    """Folders where nothing is. Nothing is concluded about the files below them, nor below those of `problems`."""
    problems: tuple[Problem, ...] = ()
    """Folders that do not come home under their own name: refused, unreadable, or known by another name."""


def arrange(
    root: bytes,
    asked: Sequence[Asked],
    found: Sequence[Place | Problem],
    *,
    confined: bool,
    remembered: Collection[SourcePath] = (),
) -> Arrangement:
    """Sorts out what was found. `root` is the real path of the source's root; folders that are not elsewhere are below it.

    `confined`: links may lead only below the root (a local source: this machine has more than outputs to lose). `remembered` are
    the folders that the manifest knows files below.
    """
    absent = [_absent(ask, place) for ask, place in zip(asked, found, strict=True) if isinstance(place, Problem)]
    there = [(ask, place) for ask, place in zip(asked, found, strict=True) if isinstance(place, Place)]
    allowed = [(ask, place) for ask, place in there if _may_lead(root, ask, place.path, confined)]
    refused = [_refused(ask, place) for ask, place in there if (ask, place) not in allowed]
    mounts, aliases = _named(root, allowed, remembered)
    mounts, covered = _outermost(mounts)
    missing = [one for one in absent if one.kind is ProblemKind.VANISHED]
    unreadable = [one for one in absent if one.kind is not ProblemKind.VANISHED]
    in_order = sorted(mounts, key=lambda mount: mount.folder + b"/")
    return Arrangement(tuple(in_order), tuple(missing), (*unreadable, *refused, *aliases, *covered))


def own_path(root: bytes, folder: bytes) -> bytes:
    """The path below the root that a folder has when no link leads to it."""
    return root.rstrip(b"/") + b"/" + folder


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether an absolute path is strictly below a folder."""
    return path.startswith(folder.rstrip(b"/") + b"/") and path != folder


def _absent(ask: Asked, problem: Problem) -> Problem:
    kind = ProblemKind.UNREADABLE if problem.kind is ProblemKind.UNREADABLE else ProblemKind.VANISHED
    return Problem(ask.folder, kind, problem.message)


def _may_lead(root: bytes, ask: Asked, real: bytes, confined: bool) -> bool:
    """A folder that is where it says is the owner's word alone; one behind a link is partly the box's."""
    if real == (ask.path if ask.elsewhere else own_path(root, ask.folder)):
        return True
    places = [root] if confined else [root, *_usual(real)]
    return any(is_below(real, place) and b"/." not in real[len(place) :] for place in places if place != b"/")


def _usual(real: bytes) -> Iterator[bytes]:
    """The usual places, with the name that `*` stands for in this path; a program's own folder may be one."""
    parts = real.split(b"/")
    for place in USUAL:
        yield b"/home/" + parts[2] if place.endswith(b"*") and len(parts) > 2 and parts[2] else place
    yield from PROGRAMS


def _refused(ask: Asked, place: Place) -> Problem:
    why = f"it leads to {shown(place.path)}, where forged follows no link; if that is right, make that the source of a target"
    return Problem(ask.folder, ProblemKind.UNREADABLE, why)


def _named(
    root: bytes, there: Sequence[tuple[Asked, Place]], remembered: Collection[SourcePath]
) -> tuple[list[Mount], list[Problem]]:
    """Each place once, under one of its names."""
    groups: dict[object, list[tuple[Asked, Place]]] = {}
    for ask, place in there:
        groups.setdefault(place.identity or place.path, []).append((ask, place))
    mounts: list[Mount] = []
    aliases: list[Problem] = []
    for names in groups.values():
        ask, place = min(names, key=lambda name: _worse(root, name[0], name[1], remembered))
        mounts.append(Mount(ask.folder, place.path))
        same = f"it is the same folder as {shown(ask.folder)}, and its files come home below that name"
        aliases += [Problem(other.folder, ProblemKind.VANISHED, same) for other, _ in names if other is not ask]
    return mounts, aliases


def _worse(root: bytes, ask: Asked, place: Place, remembered: Collection[SourcePath]) -> tuple[bool, bool, bool]:
    """What speaks against a name, the heaviest first; of equals the one that was asked for first is taken.

    A name that nobody knows files under; one for a place outside the root, since images link to such a place sooner or later; one
    that needs a link, which may go.
    """
    linked = place.path != (ask.path if ask.elsewhere else own_path(root, ask.folder))
    return ask.folder not in remembered, ask.elsewhere, linked


def _outermost(mounts: Sequence[Mount]) -> tuple[list[Mount], list[Problem]]:
    """A place inside another one is listed with it, under the outer one's name."""
    kept: list[Mount] = []
    covered: list[Problem] = []
    for mount in sorted(mounts, key=lambda mount: len(mount.real)):
        outer = next((one for one in kept if is_below(mount.real, one.real)), None)
        if outer is None:
            kept.append(mount)
            continue
        name = outer.folder + mount.real[len(outer.real.rstrip(b"/")) :]
        if name != mount.folder:
            what = f"it is {shown(name)}, and its files come home below that name"
            covered.append(Problem(mount.folder, ProblemKind.VANISHED, what))
    return kept, covered
