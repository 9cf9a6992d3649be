"""What a target's type says: where its program's files are, what beside them is not worth bringing, and which of them grow."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from forged.config.programs import ELSEWHERE, PROGRAMS, WORKSPACE, apps_below, homes, programs_of
from forged.model.target import Elsewhere, TargetType

_EVERYWHERE = ("*.tmp", ".ipynb_checkpoints/", ".rsync-tmp/", ".rsync-partial/")
"""`*.tmp`: A1111 and Forge write under that name, then rename. The others are the leavings of Jupyter and rsync."""

_COMFYUI = ("ComfyUI_temp_*", "/temp/", "**/ComfyUI/output/temp/")
"""Previews, which ComfyUI wipes when it starts: their names, and the folder, should it be within the outputs."""

_SWARMUI = ("*.swarmpreview.*",)
"""Pictures of films, made by SwarmUI from them."""

_INVOKEAI = ("thumbnails/",)
_INVOKEAI_STATE = ("tensors/", "conditioning/")
"""Intermediate results that InvokeAI keeps on disk while it works (object_serializer_disk.py)."""

_GROWING = ("log.html", "log.csv")
"""Fooocus writes the first anew for each picture, the Save button of A1111 and Forge adds a line to the second."""


@dataclass(frozen=True, slots=True)
class Preset:
    """The defaults of a type. Keys of the target take the place of these, but for `exclude`, which adds to them."""

    path: str = ""
    """Absolute, at the source; empty where a type has no usual place and the target must name it."""
    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = _EVERYWHERE
    mutable: tuple[str, ...] = ()
    elsewhere: bool = False
    """Whether the programs of this type may be outside `path`, too."""


def _trees(folder: str) -> tuple[str, ...]:
    return tuple(tree.removeprefix("/") for app in apps_below(folder) for _, tree in app.trees())


def _samples_only(folder: str) -> tuple[str, ...]:
    """Of trainers' outputs only the samples: the checkpoints beside them are gigabytes, and no media."""
    trainers = [(app, program.trees[0], program.include[0]) for program in PROGRAMS if program.include for app in program.apps]
    return tuple(
        pattern
        for app, tree, samples in trainers
        for pattern in (f"{folder}{app}/{tree}/**", f"!{folder}{app}/{tree}/**/{samples}**")
    )


_RENTED = Preset(
    WORKSPACE,
    folders=_trees(""),
    exclude=(
        *_samples_only("**/"),
        *_EVERYWHERE,
        *_COMFYUI,
        *_SWARMUI,
        *_INVOKEAI,
        *(f"**/{app}/outputs/{state}" for app in ("invokeai", "InvokeAI") for state in _INVOKEAI_STATE),
    ),
    mutable=_GROWING,
    elsewhere=True,
)
"""A rented box can run any of them, so each program's folder is asked for; most of them will not be there."""


def _one_program(type_: TargetType, exclude: tuple[str, ...] = (), mutable: tuple[str, ...] = ()) -> Preset:
    """One with a single tree has that as its path; with several, the program's folder, and the trees as `folders`."""
    program = programs_of(type_)[0]
    app = f"{WORKSPACE}/{program.apps[0]}"
    several = len(program.trees) > 1
    path, folders = (app, program.trees) if several else (f"{app}/{program.trees[0]}", ())
    return Preset(path, folders, (*_EVERYWHERE, *exclude), mutable)


_PRESETS = MappingProxyType(
    {
        TargetType.GENERIC: Preset(),
        TargetType.FORGE: _one_program(TargetType.FORGE, mutable=("log.csv",)),
        TargetType.A1111: _one_program(TargetType.A1111, mutable=("log.csv",)),
        TargetType.COMFYUI: _one_program(TargetType.COMFYUI, _COMFYUI),
        TargetType.SWARMUI: _one_program(TargetType.SWARMUI, (*_SWARMUI, *_COMFYUI)),
        TargetType.INVOKEAI: _one_program(TargetType.INVOKEAI, (*_INVOKEAI, *(f"/{state}" for state in _INVOKEAI_STATE))),
        TargetType.FOOOCUS: _one_program(TargetType.FOOOCUS, mutable=("log.html",)),
        TargetType.SDNEXT: _one_program(TargetType.SDNEXT),
        TargetType.VASTAI: _RENTED,
        TargetType.RUNPOD: _RENTED,
    }
)


def preset(type_: TargetType) -> Preset:
    """What is known of that program."""
    return _PRESETS[type_]


def folders_of(type_: TargetType, path: str, user: str | None) -> tuple[tuple[str, ...], tuple[Elsewhere, ...]]:
    """The folders that a target of this type has when it names none, and which of them are not below `path`.

    None for a program of one tree, and for a path of the owner's that is not a program's folder: it is taken as it is.
    """
    known = preset(type_)
    if known.elsewhere:
        outside = _outside(user) if path == known.path else ()
        return (*known.folders, *(one.folder for one in outside)), outside
    is_app = any(path.rpartition("/")[2] in program.apps for program in programs_of(type_))
    return (known.folders if is_app else ()), ()


def _outside(user: str | None) -> tuple[Elsewhere, ...]:
    """What may be beside the workspace. Their names begin with the place, so that two programs of one name stay apart."""
    return tuple(
        Elsewhere(f"{name}/{tree.removeprefix(folder + '/')}", tree)
        for name, folder in {**ELSEWHERE, **homes(user)}.items()
        for app in apps_below(folder)
        for _, tree in app.trees()
    )
