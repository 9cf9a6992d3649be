"""What becomes of events in the catalog's tables. Pure.

PostgreSQL's `text` holds no NUL and its `jsonb` no NaN, no Infinity, no NUL and no half surrogate pair; both come from boxes. The
raw blocks stay untouched as the text of a JSON list, in which a NUL is written as an escape.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from forged.ingest.file_events import ABOUT_FILES, STAND_IN, body_of, clean, clean_or_none, decoded, raw, whole
from forged.model.errors import IngestRefused
from forged.model.events import Event, EventKind
from forged.model.ingest import FileBody
from forged.model.media import Generation, MediaInfo, RawBlock

Value = str | int | float | bool | bytes | datetime | None
Row = tuple[Value, ...]
FileId = bytes
"""sha256 of the bytes of the path at home: long enough for paths that an index would refuse."""

SEARCHED_CHARS = 100_000
"""Of prompts, for the full-text index: a tsvector holds 1 MiB at most (postgresql.org/docs/15/textsearch-limitations.html)."""

INDEXED_CHARS = 500
"""Of names and seeds that a btree holds: it refuses values above 2,704 bytes, and UTF-8 has at most 4 for a character."""

NUL_ESCAPED = "\\u0000"

_SHAPE = bytes.maketrans(b"123456789E+", b"000000000e-")
_LONG_EXPONENT, _LONG_DIGITS, _DIGITS_EVERY_50 = re.compile(rb"0e-?000"), b"0" * 300, b"0" * 6
"""What may be a number that a `double` does not hold, or not even `numeric` and so `jsonb`: 131,072 digits before the point, 16,383
after it (postgresql.org/docs/15/datatype-numeric.html). What merely looks so is written anew, and stays what it is."""

_VALID = msgspec.json.Decoder(msgspec.Raw)
"""Reads without making anything of what it reads: a third of the work."""

_NEVER_TEXT = re.compile("[\0\ud800-\udfff]")


class ValueRefused(IngestRefused):
    """The database does not hold a value of these events."""

    default_hint = "this is a fault of ours; other events are taken"


@dataclass(slots=True)
class Rows:
    """What a batch changes, each file once: the last event of a file holds."""

    files: dict[FileId, Row] = field(default_factory=dict)
    contents: dict[FileId, str] = field(default_factory=dict)
    """Of each of these files: its sha256."""
    back: list[FileId] = field(default_factory=list)
    """Files that landed: if they had been removed at their source, they are not any more."""
    anew: list[FileId] = field(default_factory=list)
    """Whose inside is said by this batch: what was known of it before goes."""
    media: dict[FileId, Row] = field(default_factory=dict)
    generations: dict[FileId, Row] = field(default_factory=dict)
    loras: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _File:
    """What the batch says of one file at home, its events taken together in their order."""

    body: FileBody
    target: str
    media: MediaInfo | None
    synced: bool
    """It landed with one of these events."""
    removed_at: datetime | None


def rows_of(events: Sequence[Event]) -> Rows:
    """Events of other kinds than of files leave nothing. Raises IngestRefused for a file's event that is none."""
    files: dict[FileId, _File] = {}
    for event in events:
        if event.kind in ABOUT_FILES:
            body = body_of(event)
            id = hashlib.sha256(raw(body.home, body.home_b64)).digest()
            files[id] = _after(files.get(id), event, body)
    rows = Rows()
    for id in sorted(files):  # the same order everywhere: two of us cannot wait for each other
        _add(rows, id, files[id])
    return rows


def _after(before: _File | None, event: Event, body: FileBody) -> _File:
    """What is known of a file after one more event. The inside is kept while the content is."""
    same = before is not None and before.body.sha256 == body.sha256
    media = body.media or (before.media if before and same else None)
    if event.kind is EventKind.FILE_REMOVED:
        at = datetime.fromtimestamp(event.at_ns // 1_000_000_000, UTC)
        return _File(body, event.target, media, False, at)
    synced = not body.again or (before.synced if before else False)
    return _File(body, event.target, media, synced, before.removed_at if before and body.again else None)


def _add(rows: Rows, id: FileId, file: _File) -> None:
    body = file.body
    rows.files[id] = (
        *(id, clean(body.manifest), clean(file.target)),
        *(clean(body.path), decoded(body.path_b64), clean(body.home), decoded(body.home_b64)),
        *(whole(body.size) or 0, clean(body.sha256), whole(body.mtime_ns) or 0, whole(body.landed_at_ns) or 0),
        *(body.incomplete, file.removed_at),
    )
    rows.contents[id] = clean(body.sha256)
    if file.synced:
        rows.back.append(id)
    if file.media is None:
        return
    rows.anew.append(id)
    rows.media[id] = _media(id, body, file.media)
    if (made := file.media.generation) is not None:
        rows.generations[id] = _generation(id, made)
        rows.loras += [(id, n, _indexed(one.name), one.weight, clean_or_none(one.hash)) for n, one in enumerate(made.loras)]


def _media(id: FileId, body: FileBody, info: MediaInfo) -> Row:
    return (
        *(id, clean(body.sha256), info.kind.value, clean(info.format), whole(info.width), whole(info.height)),
        *(info.duration_s, info.fps, whole(info.frames), _json(info.problems)),
        *(msgspec.json.encode(info.raw).decode(), raw_json(info.raw)),
    )


def _indexed(text: str | None) -> str | None:
    return None if text is None else clean(text[:INDEXED_CHARS])


def _generation(id: FileId, made: Generation) -> Row:
    searched = "\n".join(filter(None, (made.prompt, *made.prompts)))[:SEARCHED_CHARS]
    return (
        *(id, clean(made.generator), *map(clean_or_none, (made.version, made.prompt, made.negative_prompt)), _indexed(made.seed)),
        *(whole(made.steps), made.cfg, clean_or_none(made.sampler), clean_or_none(made.scheduler)),
        *(_indexed(made.model), clean_or_none(made.model_hash)),
        *(whole(made.width), whole(made.height), made.denoise, whole(made.clip_skip), clean_or_none(made.vae)),
        *(_json(made.prompts), _json(made.samplings), _json(made.settings), _json(made.origins)),
        *(clean_or_none(made.graph), clean_or_none(made.workflow), clean(searched)),
    )


# --- what PostgreSQL does not hold ----------------------------------------------------------------------------------------


def raw_json(blocks: Iterable[RawBlock]) -> str:
    """The blocks by place as `jsonb` takes them: parsed where they are JSON objects or lists, else as text."""
    parts = {clean(block.place): json_for_jsonb(block.text) for block in blocks}
    return "{" + ",".join(f"{_json(place)}:{part}" for place, part in parts.items()) + "}"


def json_for_jsonb(text: str) -> str:
    """A text as a JSON value that `jsonb` takes."""
    if not text.lstrip(" \t\r\n").startswith(("{", "[")):
        return _json(text)
    try:
        _VALID.decode(text)
        if NUL_ESCAPED not in text and not _long_number(text):
            return text  # as most are; nothing is written anew
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        pass
    try:  # Python's own reads what Python's own wrote: NaN and Infinity, also as large as 1e999
        return _plain(_harmless(json.loads(text, strict=False)))
    except (ValueError, RecursionError):  # ValueError: no JSON, or a number of too many digits
        return _json(text)


def _long_number(text: str) -> bool:
    """Whether there may be one. Looking at every character costs more than all the rest, so a glance goes before it."""
    shape = text.encode("utf-8", "replace").translate(_SHAPE)
    if b"0e" in shape and _LONG_EXPONENT.search(shape):
        return True
    return _DIGITS_EVERY_50 in shape[::50] and _LONG_DIGITS in shape


def _json(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return _plain(_harmless(json.loads(text))) if NUL_ESCAPED in text else text


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _harmless(value: object) -> object:
    match value:
        case str():
            return _NEVER_TEXT.sub(STAND_IN, value)
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [_harmless(one) for one in value]
        case dict():
            return {_harmless(name): _harmless(one) for name, one in value.items()}
        case _:
            return value
