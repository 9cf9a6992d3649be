"""What must fit together across keys and tables. Each check answers with mistakes; none of them acts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from forged.config.lines import KeyPath
from forged.config.mistakes import Mistake
from forged.config.presets import preset
from forged.config.read import Tables
from forged.config.schema import TargetKeys, TargetTable
from forged.config.schema_extras import PostgresTable, WebhookTable
from forged.config.surroundings import Place, Surroundings
from forged.model.settings import WebhookFormat
from forged.model.target import SourceKind

MAX_SOCKET_PATH_BYTES = 107
"""unix(7): sun_path holds 108 bytes, and the last one is NUL."""

_NO_TOPIC = re.compile(r"https?://[^/?#]*/*([?#].*)?")


def check(tables: Tables, around: Surroundings) -> Iterator[Mistake]:
    """Every mistake that shows only when several keys are looked at together."""
    yield from _daemon(tables, around)
    yield from _state(tables)
    yield from _names(tables)
    for index, target in tables.targets:
        yield from _target(target, ("target", index), around)
        yield from _source_needs_path(target, ("target", index))
        yield from _feeds_itself(target, ("target", index), around)
    for index, discovery in tables.discoveries:
        yield from _target(discovery.target, ("discovery", index, "target"), around)
        if discovery.target.source is None and not preset(discovery.target.type).path:
            yield Mistake(("discovery", index, "target", "source"), _no_path(discovery.target))
    yield from _same_work(tables.targets)
    yield from _ingests(tables)


def _daemon(tables: Tables, around: Surroundings) -> Iterator[Mistake]:
    if tables.daemon.state_dir is None and around.state_dir() is None:
        yield Mistake(("daemon", "state_dir"), "neither $STATE_DIRECTORY nor $XDG_STATE_HOME nor $HOME is set: write a folder here")
    socket = tables.daemon.socket or around.socket().path
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH_BYTES:
        yield Mistake(
            ("daemon", "socket"), f"the path of a socket may have {MAX_SOCKET_PATH_BYTES} bytes at most: choose a shorter one"
        )


def _path(place: Place | None) -> Path | None:
    return place.path if place else None


def _state(tables: Tables) -> Iterator[Mistake]:
    if tables.state.url_file and "url" in tables.state.model_fields_set:
        yield Mistake(("state", "url_file"), "url is given too: keep one of the two")


def _names(tables: Tables) -> Iterator[Mistake]:
    """Names become folders and labels: two that differ only by case would be one folder on some file systems."""
    kinds = (("target", tables.targets), ("ingest", tables.ingests), ("discovery", tables.discoveries))
    for kind, elements in kinds:
        taken: set[str] = set()
        for index, element in elements:
            if element.name.lower() in taken:
                yield Mistake(
                    (kind, index, "name"),
                    f"another {kind} is called {element.name!r} already (case does not count): choose another",
                )
            taken.add(element.name.lower())


def _target(target: TargetKeys, path: KeyPath, around: Surroundings) -> Iterator[Mistake]:
    given = target.model_fields_set
    dest = target.dest or _path(around.media_base())
    if dest is None:
        yield Mistake((*path, "dest"), "it is missing, and $MEDIA_BASE is not set: write the folder at home")
    elif ".forged" in dest.parts:
        yield Mistake((*path, "dest"), "a folder inside .forged is forged's own: choose another")
    if target.schedule and "poll" in given:
        yield Mistake((*path, "schedule"), "poll is given too: keep one of the two")
    if target.settle_max < target.settle:
        yield Mistake((*path, "settle_max"), "it is shorter than settle: make it longer")
    kind = target.source.kind if isinstance(target, TargetTable) else SourceKind.SSH
    if kind in (SourceKind.LOCAL, SourceKind.DOCKER):
        for key in sorted({"identity_file", "passphrase_file", "host_key"} & given):
            yield Mistake((*path, key), f"it means nothing for a {kind.value} source: remove it")


def _source_needs_path(target: TargetTable, path: KeyPath) -> Iterator[Mistake]:
    if not target.source.path and not preset(target.type).path:
        yield Mistake((*path, "source"), _no_path(target))


def _no_path(target: TargetKeys) -> str:
    return (
        f'type "{target.type.value}" has no folder of its own: add the path, or say which program it is (`forged probe` finds both)'
    )


def _feeds_itself(target: TargetTable, path: KeyPath, around: Surroundings) -> Iterator[Mistake]:
    """What lands inside the source would be found there as new, and land again, without end."""
    dest = target.dest or _path(around.media_base())
    if target.source.kind is not SourceKind.LOCAL or dest is None:
        return
    source, dest = Path(os.path.normpath(target.source.path)), Path(os.path.normpath(dest))
    if source.is_relative_to(dest) or dest.is_relative_to(source):
        yield Mistake(
            (*path, "dest"), "source and dest lie within each other, so files would be copied in circles: choose another folder"
        )


def _same_work(targets: Sequence[tuple[int, TargetTable]]) -> Iterator[Mistake]:
    """Two targets that bring the same files to the same place would only see each other's copies."""
    seen: dict[tuple[object, ...], str] = {}
    for index, target in targets:
        work = (target.source, target.dest, target.layout, target.folders, target.include, target.exclude)
        if work in seen and "{target}" not in target.layout:
            what = f"target {seen[work]!r} brings the same files to the same place: remove one, or give them different folders"
            yield Mistake(("target", index, "source"), what)
        seen.setdefault(work, target.name)


def _ingests(tables: Tables) -> Iterator[Mistake]:
    for index, ingest in tables.ingests:
        path: KeyPath = ("ingest", index)
        for name in sorted(set(ingest.targets) - tables.names):
            yield Mistake((*path, "targets"), f"there is no target and no discovery called {name!r}")
        if isinstance(ingest, PostgresTable):
            yield from _exactly_one(ingest.dsn, ingest.dsn_file, (*path, "dsn"))
        if isinstance(ingest, WebhookTable):
            yield from _exactly_one(ingest.url, ingest.url_file, (*path, "url"))
            if ingest.format is WebhookFormat.NTFY and _NO_TOPIC.fullmatch(ingest.url or ""):
                yield Mistake((*path, "url"), "ntfy needs a topic in its address: https://ntfy.sh/TOPIC")


def _exactly_one(text: str | None, file: Path | None, path: KeyPath) -> Iterator[Mistake]:
    if (text is None) == (file is None):
        said = "both are given" if text else "it is missing"
        yield Mistake(path, f"{said}: write {path[-1]}, or {path[-1]}_file with the name of a file that holds it")
