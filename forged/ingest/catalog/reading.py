"""Finds in the catalog, beside whoever writes it. Each search opens the file anew: it may have been replaced meanwhile."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from forged.ingest.catalog import query
from forged.ingest.catalog.document import any_of, of_kind, of_model, of_seed, of_target
from forged.ingest.catalog.file import APPLICATION_ID, CatalogDamaged, is_damage
from forged.ingest.catalog.tables import TICK_NS
from forged.model.errors import IngestError
from forged.model.finding import FoundFile, Search
from forged.model.media import MediaKind

AT_ONCE = 2
"""Searches; others wait. Each is a thread that computes."""

LONGEST_S = 10.0
"""A search for phrases that nobody wrote, of words that everybody writes, has to look at them all."""

PROMPT_CHARS = 20_000
"""Of a prompt in an answer; `forgectl show` has all of it."""

MOST_MODELS = 500
"""That one word may mean."""

STEPS = 100_000
"""Of SQLite's machine, between two looks at the clock: some milliseconds."""

BUSY_S = 2.0

_COLUMNS = f"""
f.id, f.target, coalesce(f.path_raw, f.path), coalesce(f.home_raw, f.home), f.size_bytes, f.sha256, f.mtime_ns, f.landed_at_ns,
f.kind, f.width, f.height, g.generator, nullif(coalesce(nullif(m.name, ''), m.hash), ''), g.seed,
substr(coalesce(g.prompt, (select group_concat(value, ' + ') from json_each(g.prompts))), 1, {PROMPT_CHARS})
"""

_JOINED = """
left join generations g on g.file_id = f.id
left join used_models u on u.file_id = f.id and u.position = 0
left join models m on m.id = u.model_id
"""

_BY_WORDS = f"""
select {_COLUMNS}
from (select rowid as id from search where search match ? and rowid < ? and rowid >= ? order by rowid desc limit ?) s
join files f on f.id = s.id {_JOINED} order by s.id desc
"""

_ALL = f"select {_COLUMNS} from files f {_JOINED} where f.id < ? and f.id >= ? order by f.id desc limit ?"

_MODELS = """
select id from models where instr(lower(name), ?1) or substr(lower(hash), 1, length(?1)) = ?1 order by id desc limit ?2
"""

_BEYOND = 2**63 - 1


class CatalogBusy(IngestError):
    """A search took too long."""

    default_hint = "look for rarer words, or since a time"


class Finder:
    """Searches in the file that `path` names at that moment; None: there is no catalog."""

    def __init__(self, path: Callable[[], Path | None], longest_s: float = LONGEST_S) -> None:
        self._path = path
        self._longest_s = longest_s
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def find(self, search: Search, limit: int, before: int | None = None) -> Sequence[FoundFile]:
        """Newest first; `before`: those older than the file of this id. Raises IngestError."""
        path = self._path()
        if path is None:
            raise IngestError(
                "there is no catalog", hint='forged.toml switches it off: `enabled = false` in [[ingest]] type = "sqlite"'
            )
        async with self._turns:
            return await asyncio.to_thread(found, path, search, limit, before, self._longest_s)


def found(path: Path, search: Search, limit: int, before: int | None = None, longest_s: float = LONGEST_S) -> list[FoundFile]:
    """Blocks. Raises IngestError."""
    until_s = time.monotonic() + longest_s
    try:
        if not os.path.exists(path) or os.path.getsize(path) == 0:
            return []  # nothing has come home yet
        address = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)) as connection:
            connection.execute("pragma trusted_schema = off")
            connection.set_progress_handler(lambda: time.monotonic() > until_s, STEPS)
            return _found(connection, search, limit, before)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise CatalogBusy(f"the search was given up after {longest_s:g} s") from error
        if is_damage(error):
            raise CatalogDamaged(f"{path} is damaged ({error})") from error
        raise IngestError(f"{path}: {error}", hint="another program may have it locked") from error


def _found(connection: sqlite3.Connection, search: Search, limit: int, before: int | None) -> list[FoundFile]:
    if connection.execute("pragma application_id").fetchone()[0] != APPLICATION_ID:
        return []  # it is being made
    between = (_BEYOND if before is None else before, (search.since_ns or 0) // TICK_NS, limit)
    asked, facets = query.terms(search.query), _facets(connection, search)
    if facets is None:
        return []
    if asked or facets:
        rows = connection.execute(_BY_WORDS, (query.expression(asked, facets), *between))
    else:
        rows = connection.execute(_ALL, between)
    return [_file(row) for row in rows]


def _facets(connection: sqlite3.Connection, search: Search) -> list[str] | None:
    """None: nothing can have them."""
    facets = []
    if search.target is not None:
        facets.append(any_of([of_target(search.target)]))
    if search.kind is not None:
        facets.append(any_of([of_kind(search.kind.value)]))
    if search.seed is not None:
        facets.append(any_of([of_seed(search.seed) or "never"]))
    if search.model is not None:
        models = [of_model(id) for (id,) in connection.execute(_MODELS, (search.model.lower(), MOST_MODELS))]
        if not models:
            return None
        facets.append(any_of(models))
    return facets


def _file(row: tuple[object, ...]) -> FoundFile:
    id, target, path, home, size_bytes, sha256, mtime_ns, landed_at_ns, kind, *others = row
    known = MediaKind(kind) if kind is not None else None
    facts = (size_bytes, sha256, mtime_ns, landed_at_ns, known, *others)
    return FoundFile(id, target, _bytes(path), _bytes(home), *facts)  # type: ignore[arg-type]  # as the columns are declared


def _bytes(path: object) -> bytes:
    return path if isinstance(path, bytes) else str(path).encode("utf-8", "replace")
