"""What is said to PostgreSQL: the migrations, and one statement for each table and batch.

Files go as arrays, one for each column, and come out as rows by `unnest`, since they may be there already; what is inside them is
always new, and goes by COPY. No temporary tables: nothing is left in the catalogs of somebody's database.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

MIGRATIONS_LOCK = 0x666F72676564
"""An advisory lock ("forged" in ASCII): two of us that start at once do not both make the tables."""

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; `version` counts from 1."""

    version: int
    name: str
    sql: str


def migrations() -> Sequence[Migration]:
    """All that this version knows, in order."""
    folder = resources.files("forged.ingest") / "postgres_migrations"
    named = ((file, _NAME.fullmatch(file.name)) for file in folder.iterdir())
    return sorted(
        (Migration(int(match[1]), match[2], file.read_text("utf-8")) for file, match in named if match),
        key=lambda one: one.version,
    )


ENCODING = "select current_setting('server_encoding')"

THERE = """
select exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'forged' and c.relname = 'migrations'
)
"""
"""Not `to_regclass`: it answers from a cache that waiting for an advisory lock does not refresh (seen with PostgreSQL 15.18)."""

MAY_WRITE = "select has_table_privilege('forged.files', 'insert') and has_table_privilege('forged.files', 'update')"

VERSION = "select coalesce(max(version), 0) from forged.migrations"

PREPARE = """
create schema if not exists forged;
create table forged.migrations (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
);
comment on schema forged is 'What forged brought home. forged.migrations says which version its tables have.';
"""

APPLIED = "insert into forged.migrations (version, name) values ($1, $2)"

DURABLE = "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'"
"""What this handler has taken may be deleted at its source: `off` could lose it in a power cut. Only for this transaction."""

ANEW = """
delete from forged.media m
using unnest($1::bytea[], $2::text[]) as t (id, sha256)
where m.file_id = t.id and (t.id = any ($3::bytea[]) or m.sha256 <> t.sha256)
"""
"""The inside of files that is said anew by this batch, or was that of another content. After the files: their rows are then locked
against another of us that writes the same ones."""

BACK = "update forged.files set removed_at = null where id = any ($1::bytea[]) and removed_at is not null"
"""Files that landed again."""

FILES = """
insert into forged.files (
    id, manifest, target, path, path_raw, home, home_raw, size_bytes, sha256, mtime_ns, landed_at_ns, incomplete, removed_at
)
select * from unnest(
    $1::bytea[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::bytea[], $8::bigint[], $9::text[],
    $10::bigint[], $11::bigint[], $12::boolean[], $13::timestamptz[]
)
on conflict (id) do update set
    manifest = excluded.manifest, target = excluded.target, path = excluded.path, path_raw = excluded.path_raw,
    size_bytes = excluded.size_bytes, sha256 = excluded.sha256, mtime_ns = excluded.mtime_ns,
    landed_at_ns = excluded.landed_at_ns, incomplete = excluded.incomplete,
    removed_at = coalesce(excluded.removed_at, forged.files.removed_at)
"""

SCHEMA = "forged"


@dataclass(frozen=True, slots=True)
class Copied:
    """A table that is filled by COPY, and its columns in the order of our rows."""

    table: str
    columns: tuple[str, ...]


MEDIA = Copied(
    "media",
    (
        *("file_id", "sha256", "kind", "format", "width", "height", "duration_s", "fps", "frames"),
        *("problems", "raw", "raw_json"),
    ),
)

GENERATIONS = Copied(
    "generations",
    (
        *("file_id", "generator", "version", "prompt", "negative_prompt", "seed", "steps", "cfg", "sampler", "scheduler"),
        *("model", "model_hash", "width", "height", "denoise", "clip_skip", "vae"),
        *("prompts", "samplings", "settings", "origins", "graph", "workflow", "searched"),
    ),
)

LORAS = Copied("loras", ("file_id", "position", "name", "weight", "hash"))
