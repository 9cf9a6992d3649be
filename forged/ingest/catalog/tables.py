"""Events of files become rows. Blocks; within a transaction of whoever calls."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence

import msgspec

from forged.ingest.catalog.document import Document, document
from forged.ingest.file_events import clean, clean_or_none, decoded, raw, whole
from forged.model.events import Event, EventKind
from forged.model.ingest import FileBody
from forged.model.media import Generation, MediaInfo
from forged.model.paths import shown

TICK_NS = 100_000
"""Ids of files count these, so that they ascend as files land."""

_LATEST_NS = 2**62
"""The year 2116. What a clock gone wrong says beyond it is put there."""

_MOMENTS = 1_000
"""Of landing, remembered at once: what is looked into in turn has landed in far fewer."""

_FIRST_FREE = """
    select one.id + 1 from files one where one.id >= ? and not exists (select 1 from files other where other.id = one.id + 1)
    order by one.id limit 1
"""

Value = str | int | float | bytes | None

_FILE = (
    *("key", "target", "manifest", "path", "path_raw", "home", "home_raw", "size_bytes", "sha256", "mtime_ns", "landed_at_ns"),
    *("incomplete", "removed_at_ns"),
)
_INSIDE = ("kind", "format", "width", "height", "duration_s", "fps", "frames")
_GENERATION = (
    *("file_id", "generator", "version", "prompt", "negative_prompt", "seed", "steps", "cfg", "sampler", "scheduler"),
    *("width", "height", "denoise", "clip_skip", "vae", "prompts", "seeds", "samplings", "settings"),
)


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))


INSERT_FILE = f"insert into files (id, {', '.join(_FILE)}) values (?, {_marks(_FILE)})"
UPDATE_FILE = f"update files set id = ?, {', '.join(f'{name} = ?' for name in _FILE)} where id = ?"
UPDATE_INSIDE = f"update files set {', '.join(f'{name} = ?' for name in _INSIDE)} where id = ?"
INSERT_GENERATION = f"insert into generations ({', '.join(_GENERATION)}) values ({_marks(_GENERATION)})"


class Tables:
    """The tables through one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._run_all = connection.executemany
        self._landed: dict[int, int] = {}
        """The ticks for which ids were given lately, and the last of them."""

    def take(self, event: Event, body: FileBody) -> None:
        """What is said of a file replaces what was said; the inside of a content is kept until it is said anew. Raises
        sqlite3.Error."""
        home = _home(event, body)
        key = hashlib.blake2b(home, digest_size=16).digest()
        found = self._run("select id, sha256, landed_at_ns, removed_at_ns from files where key = ?", (key,)).fetchone()
        before, sha256, landed_at_ns, removed_at_ns = found or (None, None, None, None)
        same = sha256 == clean(body.sha256)
        if event.kind is EventKind.FILE_REMOVED:
            if same:
                self._run("update files set removed_at_ns = ? where id = ?", (event.at_ns, before))
                return
            removed_at_ns = event.at_ns
        elif not body.again:
            removed_at_ns = None
        id = before if before is not None and landed_at_ns == whole(body.landed_at_ns) else self._id_of(body.landed_at_ns)
        if before is not None:
            self._run(
                "insert into search (search, rowid, prompt, facets) values ('delete', ?, ?, ?)", (before, *self._words(before))
            )
        self._put(before, id, _file(key, home, event.target, body, removed_at_ns))
        if body.media is not None or not same:
            self._put_inside(id, body.media)
        self._run("insert into search (rowid, prompt, facets) values (?, ?, ?)", (id, *self._words(id)))

    def _put(self, before: int | None, id: int, row: tuple[Value, ...]) -> None:
        if before is None:
            self._run(INSERT_FILE, (id, *row))
        else:
            self._run(UPDATE_FILE, (id, *row, before))

    def _put_inside(self, id: int, media: MediaInfo | None) -> None:
        self._run("delete from generations where file_id = ?", (id,))
        inside: tuple[Value, ...] = (None,) * len(_INSIDE)
        if media is not None:
            size = (whole(media.width), whole(media.height), media.duration_s, media.fps, whole(media.frames))
            inside = (media.kind.value, clean(media.format), *size)
        self._run(UPDATE_INSIDE, (*inside, id))
        if media is not None and media.generation is not None:
            self._put_generation(id, media.generation)

    def _put_generation(self, id: int, made: Generation) -> None:
        self._run(INSERT_GENERATION, _generation(id, made))
        models = [(made.model or "", made.model_hash or "")]
        models += [(one.model, "") for one in made.samplings if one.model and one.model != made.model]
        for position, (name, hash) in enumerate(dict.fromkeys(models)):
            if name or hash:
                model = self._model(clean(name), clean(hash))
                self._run("insert into used_models values (?, ?, ?)", (id, position, model))
        loras = [(id, n, clean(one.name), one.weight, clean_or_none(one.hash)) for n, one in enumerate(made.loras)]
        self._run_all("insert into loras values (?, ?, ?, ?, ?)", loras)

    def _model(self, name: str, hash: str) -> int:
        for _ in range(2):
            found = self._run("select id from models where name = ? and hash = ?", (name, hash)).fetchone()
            if found is not None:
                return int(found[0])
            self._run("insert into models (name, hash) values (?, ?)", (name, hash))
        raise AssertionError("a row that was just put in is there")

    def _words(self, id: int) -> Document:
        """As the tables have it: what goes in is what can be said again when it has to go out."""
        target, kind, prompt, prompts, seeds = self._run(
            "select target, kind, prompt, prompts, seeds from files left join generations on file_id = id where id = ?", (id,)
        ).fetchone()
        models = [model for (model,) in self._run("select model_id from used_models where file_id = ? order by position", (id,))]
        texts = [prompt or "", *(json.loads(prompts) if prompts else ())]
        return document(texts, target, kind, json.loads(seeds) if seeds else (), models)

    def _id_of(self, landed_at_ns: int) -> int:
        """The first free one from the moment on, after those that were given for it lately.

        A million files can have landed at once, and their events come in any order.
        """
        tick = min(max(landed_at_ns, 0), _LATEST_NS) // TICK_NS
        start = self._landed.pop(tick, tick - 1) + 1
        taken = self._run("select 1 from files where id = ?", (start,)).fetchone()
        id = start if taken is None else int(self._run(_FIRST_FREE, (start,)).fetchone()[0])
        self._landed[tick] = id
        if len(self._landed) > _MOMENTS:
            del self._landed[next(iter(self._landed))]
        return id


def _home(event: Event, body: FileBody) -> bytes:
    """The path at home as it is: the event's key has it where the body's text is escaped to be shown."""
    exact = event.key.encode("utf-8", "surrogateescape") if "\\" in body.home else b""
    return exact if exact and shown(exact) == body.home else raw(body.home, body.home_b64)


def _file(key: bytes, home: bytes, target: str, body: FileBody, removed_at_ns: int | None) -> tuple[Value, ...]:
    return (
        *(key, clean(target), clean(body.manifest)),
        *(clean(body.path), decoded(body.path_b64), clean(body.home), None if home == clean(body.home).encode() else home),
        *(whole(body.size) or 0, clean(body.sha256), whole(body.mtime_ns) or 0, whole(body.landed_at_ns) or 0),
        *(int(body.incomplete), removed_at_ns),
    )


def _generation(id: int, made: Generation) -> tuple[Value, ...]:
    seeds = dict.fromkeys(filter(None, (made.seed, *(one.seed for one in made.samplings))))
    return (
        *(id, clean(made.generator), *map(clean_or_none, (made.version, made.prompt, made.negative_prompt, made.seed))),
        *(whole(made.steps), made.cfg, *map(clean_or_none, (made.sampler, made.scheduler))),
        *(whole(made.width), whole(made.height), made.denoise, whole(made.clip_skip), clean_or_none(made.vae)),
        *(_list(made.prompts), _list(list(seeds)) or "[]", _list(made.samplings), _list(made.settings)),
    )


def _list(values: Sequence[object]) -> str | None:
    return msgspec.json.encode(values).decode() if values else None
