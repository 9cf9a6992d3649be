"""A target that stands in no file: the table of an ad-hoc sync (`sync.start {config}`), read as strictly as the file.

It takes the keys of [[target]], and the names of the seed document's SyncConfig beside them. How those are read:

- `source_host`, `source_port`, `source_path`: an ssh:// source. SyncConfig has no user; it is root, as on rented boxes, unless the
  host is written `user@host`.
- `bandwidth_limit_mbps` is in 10^6 bytes a second: the document shows its `transfer_rate_mbps` as "MB/s", so no bits are meant.
- `enable_cleanup` is on where `source_host` is given, as it is in SyncConfig; a table with `source` cleans up when it asks for it.
- `calculate_hashes` changes nothing: forged hashes every byte that it brings, always.

A key that is null counts as not given, since SyncConfig writes its absent values so.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from forged.config.build import Builder
from forged.config.checks import check
from forged.config.lines import KeyPath
from forged.config.mistakes import Mistake, harmless, unknown_key
from forged.config.read import Reader
from forged.config.schema import Table, TargetTable, key
from forged.config.surroundings import Surroundings
from forged.config.values import BoxPath, Text
from forged.model.errors import ConfigError
from forged.model.manifest import ManifestName
from forged.model.target import MediaPolicy, SourceAddress, SourceKind, Target, TargetName

UNNAMED = "adhoc"

MOST_MISTAKES = 20
"""Told of one table; who sends a thousand wrong keys has made one mistake."""


class SyncConfigTable(Table):
    """The names that SyncConfig has and [[target]] has not. None: it is not given."""

    source_type: Text = key(None, "as `type`")
    source_host: Text = key(None, "the box, `host` or `user@host`")
    source_port: Annotated[int, Field(ge=1, le=65_535)] | None = key(None, "its SSH port")
    source_path: BoxPath = key(None, "the folder there; without it that of the type")
    dest_path: Text = key(None, "as `dest`")
    bandwidth_limit_mbps: Annotated[float, Field(ge=0.001, le=1_000_000)] | None = key(None, "as `bandwidth`, in MB/s")
    enable_cleanup: bool | None = key(None, "whether old files are removed at the source after the sync")
    cleanup_age_hours: Annotated[float, Field(ge=0, le=876_000)] | None = key(None, "as `cleanup.age`")
    cleanup_dry_run: bool | None = key(None, "as `cleanup.dry_run`")
    generate_xmp: bool | None = key(None, "as `media.xmp`")
    calculate_hashes: bool | None = key(None, "always done")
    extract_metadata: bool | None = key(None, "as `media.metadata`")
    retry_delay_seconds: Annotated[float, Field(ge=0, le=3_600)] | None = key(None, "as `retry_delay`")
    verify_transfers: bool | None = key(None, "as `verify`")


PLACES: Mapping[str, KeyPath] = MappingProxyType(
    {
        "source_type": ("type",),
        "source_host": ("source",),
        "source_port": ("source",),
        "source_path": ("source",),
        "dest_path": ("dest",),
        "bandwidth_limit_mbps": ("bandwidth",),
        "cleanup_age_hours": ("cleanup", "age"),
        "cleanup_dry_run": ("cleanup", "dry_run"),
        "generate_xmp": ("media", "xmp"),
        "extract_metadata": ("media", "metadata"),
        "retry_delay_seconds": ("retry_delay",),
        "verify_transfers": ("verify",),
    }
)
"""Which key of [[target]] a name stands for. The first of several is the one that is named when the key is wrong."""


def ad_hoc_target(table: Mapping[str, object], around: Surroundings, media: MediaPolicy) -> Target:
    """The target that the table describes; what it does not say of media is as in `media`.

    Without a `name` it is called `adhoc-<8 hex>`. Its manifest is always called so, after source and destination: the same sync a
    second time is incremental. (Two of a thousand such pairs share their 32 bits with a chance of 1 to 8,600; then they would
    see each other's files as changed, and bring them again.) Raises ConfigError with every mistake as `key: what, and what to do`.
    """
    given = {name: value for name, value in table.items() if value is not None}
    seed = Reader({}, around)
    raw = _translated(given, seed)
    reader = Reader({"target": [raw]}, around)
    tables = reader.tables()
    told = _told(given, seed.mistakes, [*reader.mistakes, *check(tables, around)])
    if told:
        raise ConfigError(told)
    ((_, read),) = tables.targets
    target = Builder(around.folder, tables, around).target(read)
    changed = {key: getattr(target.media, key) for key in read.media.model_fields_set}
    name = _name(target)
    return replace(
        target,
        name=TargetName(target.name if "name" in given else name),
        manifest=ManifestName(name),
        media=replace(media, **changed),
    )


def _name(target: Target) -> str:
    work = f"{target.source}\0{target.home.dest}"
    return f"adhoc-{hashlib.sha256(os.fsencode(work)).hexdigest()[:8]}"


# --- SyncConfig's names -------------------------------------------------------------------------------------------------------


def _translated(given: Mapping[str, object], reader: Reader) -> dict[str, object]:
    """The table of a [[target]]. What is wrong with SyncConfig's names is in the reader's mistakes."""
    theirs = {name: value for name, value in given.items() if name in SyncConfigTable.model_fields}
    seed = reader.validated(SyncConfigTable, theirs, ()) or SyncConfigTable()
    raw = {"name": UNNAMED} | {name: value for name, value in given.items() if name in TargetTable.model_fields}
    for path, value in _values(seed):
        if value is not None:
            _put(raw, path, value)
    return raw


def _values(seed: SyncConfigTable) -> Iterator[tuple[KeyPath, object]]:
    """Each of its values as [[target]] would say it; None where it says nothing."""
    yield ("type",), seed.source_type
    yield ("source",), _source(seed)
    yield ("dest",), seed.dest_path
    yield ("bandwidth",), _text(seed.bandwidth_limit_mbps, "MB/s")
    yield ("media", "xmp"), seed.generate_xmp
    yield ("media", "metadata"), seed.extract_metadata
    yield ("retry_delay",), _text(seed.retry_delay_seconds, "s")
    yield ("verify",), seed.verify_transfers
    cleans_up = seed.source_host is not None if seed.enable_cleanup is None else seed.enable_cleanup
    if cleans_up:
        yield ("cleanup", "age"), _text(seed.cleanup_age_hours, "h") or "24h"
        yield ("cleanup", "dry_run"), bool(seed.cleanup_dry_run)


def _source(seed: SyncConfigTable) -> str | None:
    if seed.source_host is None:
        return None
    user, _, host = seed.source_host.rpartition("@")
    path = seed.source_path.path if seed.source_path else ""
    return str(SourceAddress(SourceKind.SSH, path, host.strip("[]"), user or "root", seed.source_port))


def _text(number: float | None, unit: str) -> str | None:
    return None if number is None else f"{number:.9f}{unit}"


def _put(raw: dict[str, object], path: KeyPath, value: object) -> None:
    """Where the table says something itself, that stays; `_twice` complains of it."""
    first, *below = map(str, path)
    inner = raw.get(first, {})
    if not below:
        raw.setdefault(first, value)
    elif isinstance(inner, dict):
        raw[first] = {below[0]: value} | inner


# --- mistakes -----------------------------------------------------------------------------------------------------------------


def _told(given: Mapping[str, object], seed: Sequence[Mistake], target: Sequence[Mistake]) -> tuple[str, ...]:
    """Everything that is wrong, in the order of the table; what is missing comes last. Of one key only the first mistake."""
    told: dict[str, str] = {}
    for mistake in [*_unknown(given), *_twice(given), *_alone(given), *seed]:
        told.setdefault(str(mistake.path[0]), mistake.message)
    spoiled = {PLACES.get(name) for name in told}
    for mistake in target:
        path = mistake.path[2:]
        if mistake.path[:2] == ("target", 0) and path not in spoiled:
            told.setdefault(_as_said(given, path), mistake.message)
    order = {name: position for position, name in enumerate(given)}
    keys = sorted(told, key=lambda key: order.get(key.split(".")[0], len(order)))
    rest = (f"and {len(keys) - MOST_MISTAKES} more",) if len(keys) > MOST_MISTAKES else ()
    return tuple(f"{_shown(key)}: {harmless(told[key])}" for key in keys[:MOST_MISTAKES]) + rest


def _unknown(given: Mapping[str, object]) -> Iterator[Mistake]:
    known = TargetTable.model_fields.keys() | SyncConfigTable.model_fields.keys()
    for number, name in enumerate(name for name in given if name not in known):
        # Searching for what was meant takes 50 µs a key, and a line of the control socket holds 100,000.
        yield Mistake((name,), unknown_key(name, known, {}) if number < MOST_MISTAKES else "no such key here")


def _twice(given: Mapping[str, object]) -> Iterator[Mistake]:
    """What is said in both languages."""
    for name, path in PLACES.items():
        if name in given and _holds(given, path):
            yield Mistake((name,), f"{'.'.join(map(str, path))} is given too: keep one of the two")
    if given.get("enable_cleanup") is False and "cleanup" in given:
        yield Mistake(("enable_cleanup",), "the table cleanup is given too: keep one of the two")


def _alone(given: Mapping[str, object]) -> Iterator[Mistake]:
    """What says nothing without another name."""
    if "source_host" in given:
        return
    if "source" not in given and ("source_port" in given or "source_path" in given):
        yield Mistake(("source_host",), "it is missing: write the box as host or user@host")
    for name in ("cleanup_age_hours", "cleanup_dry_run"):
        if name in given and "enable_cleanup" not in given:
            yield Mistake((name,), "nothing is cleaned up: add enable_cleanup = true, or remove it")


def _holds(table: object, path: KeyPath) -> bool:
    for step in path:
        if not isinstance(table, Mapping) or step not in table:
            return False
        table = table[step]
    return True


def _as_said(given: Mapping[str, object], path: KeyPath) -> str:
    """The key as the caller knows it: by SyncConfig's name where one is used, otherwise dotted."""
    names = [name for name, place in PLACES.items() if place == path]
    return names[0] if any(name in given for name in names) else ".".join(map(str, path))


def _shown(key: str) -> str:
    """A key may be anything that JSON allows."""
    return key if re.fullmatch(r"[\w.]{1,64}", key) else repr(key[:64])
